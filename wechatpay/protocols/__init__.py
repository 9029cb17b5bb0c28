"""WeChat Pay's protocols: what a request and an answer look like on the wire."""
