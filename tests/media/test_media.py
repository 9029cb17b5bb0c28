"""Media: what may be uploaded, and what is said about it."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cases import each
from forms import parts
from hypothesis import given
from hypothesis import strategies as st
from labels import stable_repr

from wechatpay import InvalidRequestError
from wechatpay.media import MAX_SIZE, Media, Part

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def body(media):
    """Lay a media out as APIv3 does, and take it apart again."""
    file = media.read()
    return parts(file.media_type, file.body(Part("meta", media.describe(file), "application/json")))


@pytest.fixture
def path(tmp_path):
    """Give the path of a file with `CONTENT`."""
    path = tmp_path / "店铺 图.jpg"
    path.write_bytes(CONTENT)
    return path


def test_default_meta_names_and_hashes_the_file(path):
    """Without anything said, ``meta`` is file name and SHA-256, and the file is as it was."""
    meta, file = body(Media(path))

    assert f'{{"filename":"店铺 图.jpg","sha256":"{SHA256}"}}' == meta.content.decode()
    assert ("application/json", "image/jpeg") == (meta.headers["content-type"], file.headers["content-type"])
    assert {"name": "file", "filename": "店铺 图.jpg"} == file.disposition
    assert CONTENT == file.content


@pytest.mark.parametrize("form", ["path", "text", "bytes", "bytearray", "memoryview", "file", "stream"])
def test_all_kinds_of_source_are_the_same(form, path):
    """A path, bytes and a stream give the same parts; a stream is taken from its beginning."""
    with path.open("rb") as opened:
        opened.read(1000)
        source = {
            "path": path,
            "text": str(path),
            "bytes": CONTENT,
            "bytearray": bytearray(CONTENT),
            "memoryview": memoryview(CONTENT),
            "file": opened,
            "stream": io.BytesIO(CONTENT),
        }[form]
        media = Media(source, filename=path.name)

        assert [part.content for part in body(Media(path))] == [part.content for part in body(media)]
        assert f'{{"filename":"店铺 图.jpg","sha256":"{SHA256}"}}' == media.meta


def test_open_files_bring_their_name(path):
    """A file that is open has a name to go by."""
    with path.open("rb") as opened:
        assert "店铺 图.jpg" == Media(opened).filename


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200000])
def test_every_size_arrives_whole(size):
    """The announced length is the real one, at the edges of pieces, too."""
    _, file = body(Media(b"x" * size, filename="x"))

    assert size == len(file.content)


@pytest.mark.parametrize("digest", ["sha256", "SHA-256", "sha1", "SHA1", "md5", "sm3", "SM3"])
def test_digest_is_the_one_asked_for(digest):
    """Each digest comes under its own name, in lower-case hexadecimal."""
    name = digest.lower().replace("-", "")
    members = json.loads(Media(CONTENT, filename="x", digest=digest).meta)

    assert {"filename": "x", name: hashlib.new(name, CONTENT).hexdigest()} == members


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (None, {"filename": "x", "sha256": SHA256}),
        ({}, {"filename": "x", "sha256": SHA256}),
        ({"bank_type": "CMB"}, {"filename": "x", "sha256": SHA256, "bank_type": "CMB"}),
        ({"filename": "y"}, {"filename": "y", "sha256": SHA256}),
        ({"openid": "o", "sha256": SHA256}, {"openid": "o", "sha256": SHA256}),
        ({"digest": "D", "digest_alogrithm": "SM3"}, {"digest": "D", "digest_alogrithm": "SM3"}),
        ({"file_name": "y", "file_digest": "D"}, {"file_name": "y", "file_digest": "D"}),
        (
            lambda filename, digest: {"file_name": filename, "file_digest": digest, "item_id": 1},
            {"file_name": "x", "file_digest": SHA256, "item_id": 1},
        ),
    ],
    ids=["none", "empty", "extra", "name", "own-sha256", "own-digest", "own-file_digest", "function"],
)
def test_meta_can_be_added_to_or_given(meta, expected):
    """Members join the usual two; a digest of one's own, or a function, makes the whole."""
    assert expected == json.loads(Media(CONTENT, meta, filename="x").meta)


def test_meta_as_text_is_sent_as_it_is():
    """Ready JSON is signed and sent byte by byte."""
    text = '{ "sha256" : "中\\u4e2d" }'
    meta, _ = body(Media(CONTENT, text, filename="x"))

    assert text.encode() == meta.content


@pytest.mark.parametrize("part", ["submission_file", "due_diligence_file"])
def test_part_can_have_another_name(part):
    """Some endpoints call the file's part by a name of their own."""
    _, file = body(Media(CONTENT, filename="x", part=part))

    assert part == file.disposition["name"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "image/png"),
        ("a.mp4", "video/mp4"),
        ("a.pdf", "application/pdf"),
        ("a", "application/octet-stream"),
    ],
)
def test_media_type_follows_the_name(name, expected):
    """The file's ``Content-Type`` is what its name tells, unless it is given."""
    assert expected == body(Media(CONTENT, filename=name))[1].headers["content-type"]
    assert "a/b" == body(Media(CONTENT, filename=name, mime_type="a/b"))[1].headers["content-type"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("中文 é 😀.jpg", "中文 é 😀.jpg"),
        ('a"; filename="b.jpg', "a%22; filename=%22b.jpg"),
        ("a\r\nX-Evil: 1\r\n\r\nb.jpg", "a%0D%0AX-Evil: 1%0D%0A%0D%0Ab.jpg"),
        ("a\\", "a%5C"),
        ("a\0b", "a%00b"),
    ],
    ids=["unicode", "quotes", "line-breaks", "backslash", "nul"],
)
def test_names_go_out_raw_but_cannot_break_out(name, expected):
    """A name is UTF-8 as it is, except for what would end it."""
    meta, file = body(Media(CONTENT, filename=name))

    assert {"name": "file", "filename": expected} == file.disposition
    assert name == json.loads(meta.content)["filename"]
    assert 2 == len(file.lines)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(name=TEXT, part=TEXT)
def test_no_name_changes_the_layout(name, part):
    """Whatever the names hold, a server finds two parts with their own headers."""
    _, file = body(Media(b"content", filename=name, part=part, mime_type="image/png"))

    assert b"content" == file.content
    assert ["content-disposition", "content-type"] == list(file.headers)


@each(
    ("arguments", "named"),
    [
        ({"source": 1}, "int"),
        ({"source": None}, "NoneType"),
        ({"source": "/nowhere/a.jpg"}, "No such file"),
        ({"source": "a\0b"}, "not a path"),
        ({"source": "/dev/null"}, "regular"),
        ({"source": "/tmp"}, "regular"),
        ({"source": io.StringIO("a")}, "binary"),
        ({"source": io.BytesIO(b"a")}, "filename"),
        ({"source": b"a"}, "filename"),
        ({"source": b"a", "filename": ""}, "filename"),
        ({"source": b"a", "filename": 1}, "filename"),
        ({"source": b"a", "filename": "\udc80.jpg"}, "filename"),
        ({"source": b"a", "filename": "a", "digest": "crc32"}, "digest"),
        ({"source": b"a", "filename": "a", "digest": 1}, "digest"),
        ({"source": b"a", "filename": "a", "meta": "no json"}, "meta"),
        ({"source": b"a", "filename": "a", "meta": '"\ud800"'}, "meta"),
        ({"source": b"a", "filename": "a", "meta": [1]}, "meta"),
        ({"source": b"a", "filename": "a", "mime_type": "image/png\r\nX: y"}, "mime_type"),
        ({"source": b"a", "filename": "a", "mime_type": "image"}, "mime_type"),
    ],
    ids=stable_repr,
)
def test_what_cannot_be_uploaded_is_refused_at_once(arguments, named):
    """The error names the argument, when the ``Media`` is made."""
    with pytest.raises(InvalidRequestError, match=named):
        Media(**arguments)


class Unseekable(io.RawIOBase):
    """A pipe, for one."""

    name = "a.jpg"

    def readable(self):
        """Claim to be."""
        return True

    def readinto(self, buffer):
        """Give nothing."""
        return 0


class Textual:
    """A stream of text that calls itself nothing."""

    name = "a.jpg"

    def seekable(self):
        """Claim to be."""
        return True

    def seek(self, position):
        """Go anywhere."""
        return position

    def read(self, size):
        """Give what is not bytes."""
        return "text"


@pytest.mark.parametrize("stream", [Unseekable(), Textual()], ids=["unseekable", "text"])
def test_streams_that_cannot_be_read_twice_as_bytes_are_refused(stream):
    """What could not be sent after it was hashed is not a source."""
    with pytest.raises(InvalidRequestError, match="rb"):
        Media(stream).read()


def test_closed_stream_is_an_error_that_says_so():
    """A stream closed between making the ``Media`` and the call cannot be read."""
    stream = io.BytesIO(CONTENT)
    media = Media(stream, filename="x")
    stream.close()
    with pytest.raises(InvalidRequestError, match="open"):
        media.read()


def test_meta_that_has_no_json_is_refused():
    """What a mapping or function gives is checked as any JSON."""
    for meta in ({"a": b"b"}, lambda *_: {"a": float("nan")}):
        with pytest.raises(InvalidRequestError, match="meta"):
            Media(CONTENT, meta, filename="x").meta  # noqa: B018  reading is what fails


def test_missing_sm3_says_what_to_do(monkeypatch):
    """An OpenSSL without SM3 is an error with a way out, not a traceback of hashlib's."""
    monkeypatch.setattr(hashlib, "algorithms_available", {"sha256"})
    with pytest.raises(InvalidRequestError, match="OpenSSL has no sm3"):
        Media(CONTENT, filename="x", digest="sm3")


def test_one_stream_serves_many_readers():
    """Threads that read one stream at once each get all of it."""
    media = Media(io.BytesIO(CONTENT * 20), filename="x")
    ready = threading.Barrier(8)

    def read():
        ready.wait()
        return media.read().digest

    with ThreadPoolExecutor(8) as pool:
        digests = {future.result() for future in [pool.submit(read) for _ in range(8)]}

    assert {hashlib.sha256(CONTENT * 20).hexdigest()} == digests


def test_content_type_is_the_requests():
    """``media.content_type`` is what ``getContentType()`` gives in PHP, with the boundary."""
    media = Media(CONTENT, filename="x")

    assert media.read().media_type == media.content_type
    assert media.content_type != Media(CONTENT, filename="x").content_type


def test_repr_shows_no_content():
    """Neither the file nor the JSON beside it shows in a ``repr``."""
    media = Media(CONTENT, {"secret": "s3cr3t"}, filename="x.jpg")
    file, part = media.read(), Part("meta", media.meta)

    assert "<Media x.jpg>" == repr(media)
    assert "s3cr3t" not in repr(file) + repr(part)
    assert repr(CONTENT)[:20] not in repr(file)


@pytest.mark.parametrize("form", ["bytes", "path", "stream"])
def test_file_above_the_limit_is_refused(form, tmp_path):
    """More than 64 MiB is refused before it is sent, whatever the source."""
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    with path.open("rb") as opened:
        source = {"bytes": bytes(MAX_SIZE + 1), "path": path, "stream": opened}[form]
        with pytest.raises(InvalidRequestError, match="64 MiB"):
            Media(source, filename="large.mp4").read()
