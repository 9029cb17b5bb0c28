"""`encrypt_sensitive` and `decrypt_marked`: the documented fields of each operation, no others."""

from __future__ import annotations

import copy
import json
import re
from urllib.parse import parse_qsl

import keys
import pytest
from cases import each
from wire.gateway import signed

from wechatpay import Builder, Sensitive
from wechatpay.catalogue import encrypted_fields, operations
from wechatpay.crypto import rsa
from wechatpay.errors import ConfigurationError, CryptoError, DecodeError, InvalidRequestError
from wechatpay.media import Media
from wechatpay.messages import Response
from wechatpay.options import Arguments

PLAIN = "张三"


def paths(tree, prefix=""):
    """List the paths of a tree of fields, such as ``list[].field``."""
    for name, below in tree.items():
        inner, path = below.get("[]", below), f"{prefix}{name}" + "[]" * ("[]" in below)
        yield from paths(inner, f"{path}.") if inner else [path]


def documented():
    """List the operations with encrypted fields: verb, URI and the paths of each part."""
    for operation in operations():
        if found := encrypted_fields(operation.verb, operation.template):
            parts = {part: list(paths(tree)) for part, tree in found._asdict().items() if tree}
            yield {"verb": operation.verb, "uri": operation.template.replace("{empty}", "")} | parts


MARKED = list(documented())


def sample(paths, leaf):
    """Build JSON that holds ``leaf`` at each path, and something plain beside it."""
    root = {"plain": PLAIN}
    for path in paths:
        names, branch = path.split("."), root
        for name in names[:-1]:
            inner = branch.setdefault(
                name.removesuffix("[]"), [{"plain": PLAIN}] if name.endswith("[]") else {}
            )
            branch = inner[0] if isinstance(inner, list) else inner
            branch["plain"] = PLAIN
        last = names[-1]
        branch[last.removesuffix("[]")] = [leaf] if last.endswith("[]") else leaf
    return root


def leaves(value, place=""):
    """Give path and text of each leaf, as marks are written."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{place}[]")
    else:
        yield place, value


def begun(instance, verb, template, **options):
    """Give the request of a call that is not sent."""
    return instance.getDriver()._begin(verb.upper(), template, Arguments((options, {})))[0]


def template(row):
    """Give the URI with its variables filled."""
    return re.sub(r"\{\w+\}", "x1", row["uri"])


def operation(row):
    """Name an operation."""
    return f"{row['verb']} {row['uri']}"


def rows(part):
    """Parametrize by the operations that have marks in this part."""
    chosen = [
        row for row in MARKED if part in row and not (part == "body" and row["body"][0].startswith("meta."))
    ]
    return each("row", chosen, ids=operation)


def test_every_operation_with_encrypted_fields_is_known():
    """The documents name 141 APIv3 operations with fields that travel encrypted under RSA."""
    assert 141 == len(MARKED)
    assert ["name"] == next(row for row in MARKED if row["uri"] == RECEIVERS)["body"]


@rows("body")
def test_documented_fields_of_a_body_are_encrypted_and_no_others(instance, row):
    """Each documented field, through lists and objects, and nothing beside it."""
    body = sample(row["body"], PLAIN)
    before = copy.deepcopy(body)
    request = begun(instance, row["verb"], template(row), json=body, encrypt_sensitive=True)
    sent = dict(leaves(json.loads(request.content)))

    assert before == body
    assert set(row["body"]) == {path for path, text in sent.items() if text != PLAIN}
    for path in row["body"]:
        assert PLAIN == rsa.decrypt(sent[path], keys.private_key("platform"))


@rows("query")
def test_documented_fields_of_a_query_are_encrypted_and_no_others(instance, row):
    """A few operations take them in the query."""
    query = dict.fromkeys([*row["query"], "plain"], PLAIN)
    request = begun(instance, row["verb"], template(row), query=query, encrypt_sensitive=True)
    sent = dict(parse_qsl(request.target.partition("?")[2]))

    assert PLAIN == sent.pop("plain")
    assert {PLAIN} == {rsa.decrypt(text, keys.private_key("platform")) for text in sent.values()}
    assert set(row["query"]) == set(sent)


@rows("response")
def test_documented_fields_of_a_response_are_decrypted_and_no_others(instance, row):
    """Each documented field of a response, and `.json()` stays as it came."""
    secret = rsa.encrypt(PLAIN, keys.public_key("merchant"))
    came = sample(row["response"], secret)
    response = Response(200, content=json.dumps(came).encode(), operation=f"{row['verb']} {template(row)}")

    assert sample(row["response"], PLAIN) == instance.getDriver().decrypt_marked(response)
    assert came == response.json()


def test_meta_of_an_upload_is_encrypted_by_its_marks(client, instance, gateway):
    """An upload's fields are in the JSON beside the file."""
    meta = {"merchant_contact_information": {"consultation_phone_number": PLAIN}, "openid": "o"}
    node = instance.v3.marketing.shoppingReceipt.shoppingreceipts
    client.call(node, "post", media=Media(b"x", meta, filename="a.jpg"), encrypt_sensitive=True)
    sent = json.loads(gateway.seen[0].body.split(b"\r\n\r\n")[1].split(b"\r\n")[0])
    number = sent["merchant_contact_information"]["consultation_phone_number"]

    assert PLAIN == rsa.decrypt(number, keys.private_key("platform"))
    assert "o" == sent["openid"]


def test_ready_meta_of_an_upload_is_refused(client, instance, gateway):
    """In ready JSON nothing can be encrypted."""
    media = Media(b"x", '{"merchant_contact_information":{}}', filename="a.jpg")
    node = instance.v3.marketing.shoppingReceipt.shoppingreceipts
    with pytest.raises(
        InvalidRequestError, match="meta: is encrypted, or holds what is, so it must be a dict, not str"
    ):
        client.call(node, "post", media=media, encrypt_sensitive=True)

    assert [] == gateway.seen


RECEIVERS = "v3/profitsharing/receivers/add"
ORDERS = "v3/profitsharing/orders"
MEMBERS = "v3/brand/partner/card-member/user-cards/import-by-phone"


def test_field_that_is_wrapped_already_is_encrypted_once(instance):
    """`Sensitive` and the option go together."""
    body = {"name": Sensitive(PLAIN), "account": Sensitive("x")}
    sent = json.loads(begun(instance, "post", RECEIVERS, json=body, encrypt_sensitive=True).content)

    assert PLAIN == rsa.decrypt(sent["name"], keys.private_key("platform"))
    assert "x" == rsa.decrypt(sent["account"], keys.private_key("platform"))


def test_field_that_is_encrypted_already_is_refused(instance):
    """Under which key could only be guessed, and twice is never right."""
    secret = rsa.encrypt(PLAIN, keys.public_key("platform"))
    with pytest.raises(InvalidRequestError, match=r"json.name: .*is it encrypted already\?"):
        begun(instance, "post", RECEIVERS, json={"name": secret}, encrypt_sensitive=True)


@pytest.mark.parametrize("body", [{"name": None}, {"name": ""}, {}, {"account": "x"}], ids=repr)
def test_field_that_is_absent_or_empty_stays_so(instance, body):
    """There is nothing to encrypt in nothing."""
    assert body == json.loads(begun(instance, "post", RECEIVERS, json=body, encrypt_sensitive=True).content)


@pytest.mark.parametrize(
    ("route", "body", "why"),
    [
        (RECEIVERS, {"name": 13800138000}, "json.name: .* must be text, not int"),
        (RECEIVERS, {"name": [PLAIN]}, "json.name: .* must be text, not list"),
        (RECEIVERS, [{"name": PLAIN}], "json: .* must be a dict, not list"),
        (ORDERS, {"receivers": {"name": PLAIN}}, "json.receivers: .* must be a list, not dict"),
        (ORDERS, {"receivers": '[{"name":"x"}]'}, "json.receivers: .* must be a list, not str"),
        (ORDERS, {"receivers": [{"name": PLAIN}, "x"]}, r"json.receivers\[1\]: .* must be a dict, not str"),
        (ORDERS, {"receivers": Sensitive("x")}, "json.receivers: .* must be a list, not Sensitive"),
        (
            MEMBERS,
            {"user_information": {"custom_field_list": [{"user_chosen_values": "x"}]}},
            "must be a list",
        ),
    ],
    ids=["number", "list", "root", "dict", "ready JSON", "member", "wrapped list", "list of text"],
)
def test_what_could_carry_a_marked_field_past_is_refused(instance, route, body, why):
    """A shape that is not the documented one is an error, not plain text."""
    with pytest.raises(InvalidRequestError, match=why):
        begun(instance, "post", route, json=body, encrypt_sensitive=True)


@pytest.mark.parametrize(
    ("path", "query", "why"),
    [
        ("v3/smartguide/guides", "mobile=138", "query.mobile"),
        ("v3/smartguide/guides", "?a=1&mob%69le=138", "query.mobile"),
        ("v3/smartguide/guides?mobile=138", None, "query.mobile"),
        ("v3/smartguide/guides", {"mobile": 138}, "query.mobile: .* must be text, not int"),
    ],
    ids=["ready", "encoded", "in the path", "number"],
)
def test_documented_query_that_cannot_be_encrypted_is_refused(instance, path, query, why):
    """A ready query would go out as it is."""
    with pytest.raises(InvalidRequestError, match=why):
        begun(instance, "get", path, query=query, encrypt_sensitive=True)


def test_query_takes_all_its_forms(instance):
    """Pairs and lists are encrypted as mappings are; other names and shapes are left to their own checks."""
    route = "v3/smartguide/guides"
    for query in ([("mobile", PLAIN), ("a", 1)], {"mobile": [PLAIN, None], "a": 1}):
        request = begun(instance, "get", route, query=query, encrypt_sensitive=True)
        sent = dict(parse_qsl(request.target.partition("?")[2]))
        assert PLAIN == rsa.decrypt(sent["mobile"], keys.private_key("platform"))
    request = begun(instance, "get", route, query={"mobile": None}, encrypt_sensitive=True)
    assert "?" not in request.target
    assert "a=1" in begun(instance, "get", route, query="a=1", encrypt_sensitive=True).target
    for query in (["mobile"], 5):
        with pytest.raises(InvalidRequestError, match="query"):
            begun(instance, "get", route, query=query, encrypt_sensitive=True)


def test_ready_body_is_refused(instance):
    """In bytes nothing can be encrypted."""
    with pytest.raises(InvalidRequestError, match="fields cannot be found in `body`"):
        begun(instance, "post", RECEIVERS, body=b'{"name":"x"}', encrypt_sensitive=True)


@pytest.mark.parametrize("path", ["v3/pay/transactions/out", "v3/bill/sub-merchant-fundflowbill"])
def test_operation_without_known_fields_is_refused(client, instance, gateway, path):
    """The caller must not think that something was encrypted."""
    with pytest.raises(InvalidRequestError, match=r"no field of .* is known to be encrypted"):
        client.call(instance.chain(path), "post", json={"name": PLAIN}, encrypt_sensitive=True)

    assert [] == gateway.seen


def test_operation_with_encrypted_fields_only_in_the_response_is_accepted(client, instance, gateway):
    """There is nothing to encrypt, and that is known."""
    gateway.respond(signed(b'{"data":[]}'))
    response = client.call(instance.v3.merchantService.complaintsV2, "get", encrypt_sensitive=True)

    assert {"data": []} == instance.getDriver().decrypt_marked(response)


@pytest.mark.parametrize("path", ["v2/pay/orderquery"])
def test_option_is_refused_elsewhere(build, path):
    """Other protocols have nothing that this option could encrypt."""
    instance = build(secret="x" * 32)
    with pytest.raises(InvalidRequestError, match="encrypt_sensitive"):
        instance.chain(path).post(xml={"mch_id": "1900000109"}, encrypt_sensitive=True)


def test_option_left_out_encrypts_nothing(instance):
    """The map is used on request alone."""
    sent = begun(instance, "post", RECEIVERS, json={"name": PLAIN}, encrypt_sensitive=False)

    assert {"name": PLAIN} == json.loads(sent.content)


@pytest.mark.parametrize(
    ("verb", "route", "is_marked"),
    [
        ("GET", "v3/merchant-service/complaints-v2/200201820200101080076610000", True),
        ("GET", "v3/merchant-service/complaints-v2/x/negotiation-historys", False),
        ("POST", "v3/merchant-service/complaints-v2", False),
        ("POST", "v3/applyment4sub/applyment/", True),
        ("POST", "v3/applyment4sub/applyment", False),
        ("POST", "v3/applyment4sub/applyment/x", False),
        ("POST", "hk/v3/merchants", True),
        ("GET", "v3/merchants/1900000109", True),
        ("POST", "global/v3/customs/verify-certificate", True),
        ("GET", "v3/certificates", False),
        ("GET", "", False),
    ],
)
def test_operations_are_found_by_verb_and_route(verb, route, is_marked):
    """A variable stands for one segment; overseas prefixes do not count."""
    assert is_marked == (encrypted_fields(verb, route) is not None)


def test_literal_is_preferred_to_a_variable():
    """Where a literal and a variable share a place, the literal decides."""
    literal = encrypted_fields("POST", "v3/brand/partner/card-member/user-cards/import-by-phone")

    assert {"phone_number", "user_information"} == set(literal.body)
    assert {} == encrypted_fields("POST", "v3/brand/partner/card-member/user-cards/1/invalidate").body


def test_response_is_decrypted_over_the_wire(client, instance, gateway):
    """From the call to the plain text, in both clients."""
    secret = rsa.encrypt("13800138000", keys.public_key("merchant"))
    gateway.respond(signed(json.dumps({"payer_phone": secret, "x": None}).encode()))
    node = instance.v3.merchantService.complaintsV2._complaint_id_
    response = client.call(node, "get", complaint_id="200201820200101080076610000")
    driver = instance.getDriver()

    assert {"payer_phone": "13800138000", "x": None} == driver.decrypt_marked(response)
    assert "13800138000" == driver.decrypt(response.json()["payer_phone"])
    assert secret == response.json()["payer_phone"]


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (b'{"data":null}', {"data": None}),
        (
            b'{"data":[{"payer_phone":""},{"payer_phone":null},{}]}',
            {"data": [{"payer_phone": ""}, {"payer_phone": None}, {}]},
        ),
        (b'{"data":{"payer_phone":"x"}}', {"data": {"payer_phone": "x"}}),
        (b'{"data":[{"payer_phone":1}]}', {"data": [{"payer_phone": 1}]}),
        (b"", None),
        (b"[]", []),
    ],
)
def test_response_of_another_shape_is_left_as_it_is(instance, content, plain):
    """What is absent, empty or not documented is not decrypted."""
    response = Response(200, content=content, operation="GET v3/merchant-service/complaints-v2")

    assert plain == instance.getDriver().decrypt_marked(response)


def test_response_that_does_not_decrypt_names_the_place(instance):
    """The error for a response to another merchant names the field."""
    secret = rsa.encrypt(PLAIN, keys.public_key("other"))
    content = json.dumps({"data": [{"payer_phone": secret}]}).encode()
    response = Response(200, content=content, operation="GET v3/merchant-service/complaints-v2")
    with pytest.raises(CryptoError, match=r"^data\[0\].payer_phone: ciphertext"):
        instance.getDriver().decrypt_marked(response)
    with pytest.raises(CryptoError):
        instance.getDriver().decrypt(PLAIN)


@pytest.mark.parametrize("operation", ["", "GET v3/certificates", "POST v3/profitsharing/orders"])
def test_response_without_known_fields_is_refused(instance, operation):
    """The caller must not think that there was nothing to decrypt."""
    with pytest.raises(InvalidRequestError, match="no encrypted field is known"):
        instance.getDriver().decrypt_marked(Response(200, content=b"{}", operation=operation))


def test_response_that_is_not_json_is_an_error(instance):
    """A body that does not parse is a DecodeError, as with `.json()`."""
    response = Response(200, content=b"<", operation="GET v3/merchant-service/complaints-v2")
    with pytest.raises(DecodeError):
        instance.getDriver().decrypt_marked(response)


@pytest.mark.parametrize(
    "use", [lambda d: d.platform, lambda d: d.decrypt("x"), lambda d: d.decrypt_marked(Response(200))]
)
def test_without_apiv3_there_are_no_keys(use):
    """With APIv2 settings only, the error names the missing ones."""
    driver = Builder(mchid="1900000109", secret="x" * 32).getDriver()
    with pytest.raises(ConfigurationError, match="mchid, serial, private_key, and certs or apiv3_key"):
        use(driver)
