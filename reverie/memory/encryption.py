"""Encryption at rest: one key for the rows (SQLCipher), the key frames and the list of copies (AES-GCM).

    key (a passphrase, or the content of a key file)
     └─ scrypt, salt = first 16 bytes of the database (RFC 7914; N = 2^14, r = 8, p = 1)
         └─ HKDF-SHA-256 ─┬─ "database"  256 bits for SQLCipher 4: AES-256-CBC and HMAC-SHA-512 on each page
                          ├─ "files"     256 bits for AES-GCM; a file's name is authenticated with it
                          └─ "names"     HMAC-SHA-256 of a picture names its file, so names do not tell contents

Beside the database `memory.encrypted` says that it is, and holds what tells a wrong key from a damaged file: an
HMAC of the master key. Without it a memory still opens. What stays readable: sizes and times of files, their number.

Needs the extra `reverie[encryption]` (`sqlcipher3`, `cryptography`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from reverie.errors import MemoryDamaged, MemoryKeyError, UsageError
from reverie.memory.descriptors import head_of

MARKER = "memory.encrypted"
SALT_BYTES = 16
_NONCE_BYTES = 12
_MAGIC = b"SQLite format 3\0"
_KEY_VARIABLE, _KEY_FILE_VARIABLE = "REVERIE_MEMORY_KEY", "REVERIE_MEMORY_KEY_FILE"
_HOW = f"set {_KEY_VARIABLE}, or name a file that holds the key with --key-file"


class Cipher:
    """What one key and one salt make of bytes."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise UsageError("an encrypted memory needs the extra: pip install 'reverie[encryption]'") from error
        master = hashlib.scrypt(key, salt=salt, n=1 << 14, r=8, p=1, dklen=32)
        self.salt = salt
        self.database_key = _derived(master, b"database").hex() + salt.hex()
        self.check = _derived(master, b"check").hex()
        self._names = _derived(master, b"names")
        self._files = AESGCM(_derived(master, b"files"))

    def name_of(self, data: bytes) -> str:
        """32 hexadecimal digits for a content, the same for the same, that say nothing without the key."""
        return hmac.digest(self._names, data, "sha256").hex()[:32]

    def seal(self, data: bytes, name: str) -> bytes:
        """Encrypt and authenticate, together with the name that it is kept under: nonce, ciphertext, tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._files.encrypt(nonce, data, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """What was sealed under the name.

        Raises:
            MemoryDamaged: these are not the bytes, this is not the name, or not the key.
        """
        from cryptography.exceptions import InvalidTag

        try:
            return self._files.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise MemoryDamaged(f"{name} is not what was encrypted under that name") from error


def cipher_for(root: Path, database: Path, key: bytes | None) -> Cipher | None:
    """The cipher of the memory in a directory; a new one where there is none yet; None for a plain one.

    Raises:
        MemoryKeyError: an encrypted memory without its key, a plain one with a key, or a wrong key.
    """
    if key is not None and not key:
        raise MemoryKeyError("the key is empty: give at least one byte")
    head = head_of(database, SALT_BYTES) if database.is_file() else b""
    if not head:
        return None if key is None else Cipher(key, os.urandom(SALT_BYTES))
    if head == _MAGIC:
        if key is None:
            return None
        raise MemoryKeyError(
            f"the memory at {root} is not encrypted: open it without a key, or make an encrypted copy with "
            "reverie memory encrypt"
        )
    if key is None:
        if (root / MARKER).exists():
            raise MemoryKeyError(f"the memory at {root} is encrypted: {_HOW}")
        return None  # no SQLite database, and nothing says that it is an encrypted one
    cipher = Cipher(key, head)
    marker = root / MARKER
    if marker.exists() and not hmac.compare_digest(marker.read_text().strip(), cipher.check):
        raise MemoryKeyError(f"the key does not fit the memory at {root}; nothing was changed: give the one it has")
    return cipher


def key_from_environment() -> bytes | None:
    """The key in `REVERIE_MEMORY_KEY`, or in the file that `REVERIE_MEMORY_KEY_FILE` names; None without either.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    if key := os.environ.get(_KEY_VARIABLE):
        return key.encode()
    if not (name := os.environ.get(_KEY_FILE_VARIABLE)):
        return None
    try:
        found = Path(name).read_bytes().strip()
    except OSError as error:
        raise UsageError(f"the key file {name} cannot be read: {error.strerror}") from error
    if not found:
        raise UsageError(f"the key file {name} is empty: write a long random key into it")
    return found


def use_key_file(path: Path) -> None:
    """Let this process, and those that it starts, take the key from a file."""
    os.environ[_KEY_FILE_VARIABLE] = str(path.absolute())
    os.environ.pop(_KEY_VARIABLE, None)


def _derived(master: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand (RFC 5869) to one block: the master key is uniform already."""
    return hmac.digest(master, b"reverie " + purpose + b"\x01", "sha256")
