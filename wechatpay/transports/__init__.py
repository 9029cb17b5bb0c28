"""The two places where bytes leave: :mod:`blocking` on requests, :mod:`asynchronous` on aiohttp."""
