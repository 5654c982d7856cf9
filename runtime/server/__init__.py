"""The language server: what an editor asks about a `.darts` file, over the protocol LSP.

Raises:
    UserError: on import, where the packages that speak the protocol are not installed.
"""

from __future__ import annotations

from runtime.errors import UserError

try:
    from runtime.server.server import serve
except ModuleNotFoundError as missing:
    if (missing.name or "").split(".")[0] not in ("pygls", "lsprotocol"):
        raise
    raise UserError("the language server needs pygls: pip install 'dartsc[lsp]'") from None

__all__ = ["serve"]
