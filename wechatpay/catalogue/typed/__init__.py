"""Types of every documented operation, for editors and type checkers alone.

The stubs beside this module are generated. Import from them under ``if TYPE_CHECKING:``. At run time, nodes
are those of ``wechatpay.builder``.
"""
