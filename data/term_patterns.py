"""Terms that have too many values to list: standards, algorithms with parameters, hex and Base64 values, found by pattern.

Offsets are those of the text given, which is to be half-width (`data.terms` makes it so).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_MODES = "ECB|CBC|CFB|OFB|CTR|GCM|CCM|XTS|BC|OFBNLF|HCTR"
_SUITE = (
    r"(?:(?:ECDHE|DHE|ECDH|EDH|ADH|AECDH|PSK|SRP|RSA|ECDSA|DSS|ECC)-)*(?:AES(?:128|256)|CHACHA20|CAMELLIA(?:128|256)|DES-CBC3|RC4|SM4)"
    r"(?:-(?:CBC|GCM|CCM8?|POLY1305))?-(?:SHA(?:1|256|384)?|MD5|SM3)"
)
"""Cipher suites as OpenSSL names them."""
_SSH = (
    r"(?:aes(?:128|192|256)-(?:ctr|cbc|gcm)|chacha20-poly1305|3des-cbc|curve25519-sha256|diffie-hellman-group(?:\d{1,2}|-exchange)-sha\d{1,3}"
    r"|ecdh-sha2-nistp\d{3}|ecdsa-sha2-nistp\d{3}|rsa-sha2-(?:256|512)|ssh-(?:rsa|dss|ed25519)|hmac-(?:sha1|md5|sha2-(?:256|512))"
    r"|sntrup761x25519-sha512|mlkem768x25519-sha256)(?:-(?:etm|96))?(?:@[a-z.]+)?"
)
"""Algorithms as SSH names them (RFC 4253 and what OpenSSH added)."""
_JOSE = r"(?:RS|ES|PS|HS)(?:256|384|512)|A(?:128|192|256)(?:GCM|KW|GCMKW|CBC-HS(?:256|384|512))|ECDH-ES(?:\+A\d{3}KW)?|RSA-OAEP-256"
"""Algorithms as JSON Web Algorithms (RFC 7518) name them."""
_WITH = (
    r"(?:SM[23]|SHA3?[-_]?\d{1,3}(?:[-_/]\d{3})?|MD[245]|RIPEMD-?160|RAW|NONE|(?i:HMAC|ECDSA|RSA|EdDSA|DSA|PBKDF2|PBE))[-_]?[Ww](?i:ith)[-_]?"
    r"(?:SM[234]|(?i:HMAC|PRF)?[-_]?SHA3?[-_]?\d{1,3}|(?i:HMAC)[-_]?(?:SM3|MD5)|MD5|(?:RSA|ECDSA|DSA|EdDSA)(?:Encryption)?|AES|DES|3DES)"
    r"(?:(?i:and)(?:MGF1|[A-Za-z]*DES|RC[24]|AES|[0-9]+bit[-A-Z0-9]*))*|(?i:HMAC)(?:SM3|MD5|SHA[-_]?\d{1,3})"
)
"""Algorithms combined as Java, OpenSSL and X.509 name them: SHA256withRSA, PBKDF2WithHmacSHA256, hmacSHA1."""
_TRANSFORMATION = (
    rf"(?:AES|DES|DESede|3DES|SM4|SM2|RSA|RC4|Blowfish|ChaCha20)(?:_\d{{3}})?/(?:{_MODES}|NONE|None)/[A-Za-z0-9]+(?:-\d+And[A-Za-z0-9]+)?"
)
"""Transformations as Java names them: AES/CBC/PKCS5Padding."""
_VERSION = r"(?:D?TLS|SSL|TLCP)(?:[ -]?[vV] ?\d(?:[._]\d)?|[ -]?\d\.\d)"
_PATTERNS = {
    "standard": (
        r"(?:GB|GM|JR|GA|YD|DL)\s?/\s?[TZ]\s?\d{4,5}(?:\.\d{1,2})?(?:\s?[-—]{1,2}\s?(?:19|20)\d{2})?"
        r"|GB\s?\d{4,5}(?:\.\d{1,2})?[-—]{1,2}(?:19|20)\d{2}"
        r"|ISO(?:/IEC)?\s?\d{4,5}(?:-\d{1,2})?(?::\d{4})?"
        r"|FIPS\s?(?:PUB\s?)?\d{2,3}(?:-\d)?"
        r"|(?:NIST\s)?SP\s?800-\d{1,3}[A-Z]?"
        r"|RFC\s?\d{3,5}"
        r"|PKCS\s?#?\d{1,2}"
    ),
    "identifier": (
        r"SGD_[A-Z0-9]+(?:_[A-Z0-9]+)*|(?:rsa_pkcs1|rsa_pss_rsae|rsa_pss_pss|ecdsa_secp\d{3}r1)_sha\d{3}|sm2sig_sm3"
        rf"|{_SUITE}|{_SSH}|{_JOSE}"
    ),
    "algorithm": (
        r"(?:TLS|ECDHE|ECC|IBC|IBSDH|RSA)(?:_[A-Z0-9]+)+"
        rf"|{_WITH}|{_TRANSFORMATION}"
        r"|(?:ECDHE|ECC|IBSDH|IBC|RSA)-SM[14]-(?:CBC|GCM)-(?:SM3|SHA1|SHA256)"
        rf"|(?i:SM[1-9](?:[-_](?:{_MODES}|MAC|HMAC))?"
        rf"|(?:AES|Camellia|ARIA)[-_]?(?:128|192|256)(?:[-_](?:{_MODES}))?"
        rf"|(?:3DES|SM4)(?:-EDE)?[-_](?:{_MODES})"
        r"|RSA[-_]?(?:512|768|1024|2048|3072|4096|7680|8192|15360)"
        r"|SHA3?[-_]?(?:224|256|384|512)(?:/(?:224|256))?"
        r"|HMAC[-_](?:SM3|MD5|SHA[-_]?(?:1|224|256|384|512))"
        r"|HKDF[-_](?:SM3|SHA[-_]?(?:1|224|256|384|512))|cSHAKE(?:128|256)|KMAC(?:XOF)?(?:128|256)"
        r"|ML-?KEM-?(?:512|768|1024)|ML-?DSA-?(?:44|65|87)|Kyber-?(?:512|768|1024)|Dilithium-?[235]|Falcon-?(?:512|1024)"
        r"|HQC-?(?:128|192|256)|FrodoKEM-?(?:640|976|1344)|SPHINCS\+?-(?:SHA2|SHAKE)-(?:128|192|256)[sf]"
        r"|SLH-DSA-(?:SHA2|SHAKE)-(?:128|192|256)[sf]"
        r"|(?:DH|FFDHE|MODP)-?(?:1024|2048|3072|4096|6144|8192)"
        r"|EC-?(?:256|384|521)|(?:ECDSA|ECDH|P)-?(?:224|256|384|521))"
    ),
    "protocol": _VERSION,
    "interface": r"(?:SDF|SKF|SAF|CKM|CKA|CKO|EVP)_[A-Za-z0-9_]+",
    "mathematics": r"GF\s?\(\s?[0-9]+(?:\s?\^\s?\{?[0-9a-z]+\}?)?\s?\)",
    "hex": r"0x[0-9A-Fa-f]{2,}|0{16,}|(?=[0-9A-Fa-f]*[0-9])(?=[0-9A-Fa-f]*[A-Fa-f])(?:[0-9A-F]{16,}|[0-9a-f]{16,})",
    "base64": (
        r"(?<![+/])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[0-9])"
        r"(?:[A-Za-z0-9+/]{4}){5,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
    ),
}
"""Each stands between characters that are no part of a Latin word, has three characters or more, and holds a letter and a digit or an
underscore; only a value of nothing but zeros holds no letter.

Base64 starts only where a run of its letters does: looking ahead from each slash of a long run would take quadratic time.
"""

_NAMED = {"attack": "攻击", "public_key": "曲线", "protocol": "承诺", "mathematics": "定理|引理|假设"}
_PAIRED = "算法|方案|签名|加密|协议|密码体制|变换|构造|归约"
_NO_AUTHORS = "Alice|Bob|Carol|Eve|Mallory|Oscar|Trudy|XSS|CSRF|SSRF|DDoS|APT|SQL|Web|CC"
"""Who acts in examples, and attacks on other things than cryptography."""
_NAME = re.compile(
    rf"(?<![A-Za-z0-9_-])(?!(?:{_NO_AUTHORS})(?![A-Za-z]))(?:[A-Z][A-Za-z0-9+]+(?:[-–][A-Z][A-Za-z0-9]+)*\s?"
    rf"(?:{'|'.join(f'(?P<{kind}>{words})' for kind, words in _NAMED.items())})|[A-Z][a-z]+(?:[-–][A-Z][a-z]+)+\s?(?P<algorithm>{_PAIRED}))"
)
_NAMED_END = re.compile(rf"[A-Za-z0-9+]\s?(?:{'|'.join(_NAMED.values())})|[-–][A-Z][a-z]+\s?(?:{_PAIRED})")
"""How each of them ends, which few texts hold."""
_SCANNER = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(f'(?P<{name}>{pattern})' for name, pattern in _PATTERNS.items())})(?![A-Za-z0-9_])")
_RUN, _TOKEN, _MARK, _LETTER = re.compile("[ -~—]{3,}"), re.compile("[^ ]+"), re.compile("[0-9_]"), re.compile("[A-Za-z]")
_ZEROS = 16 * "0"
_SHORT = 80
"""Runs up to this length are scanned whole."""
_BEFORE, _AFTER = 3, 2
"""Tokens around one with a digit or underscore that may belong to the same term: `GB / T 39786 - 2021`, `NIST SP 800-38D`."""


class Match(NamedTuple):
    """What may be a term.  name: the one way of writing it.  standard: where it is defined, '' if nowhere; for a standard its own name.

    needs_context, near: as those of an entry of the list.
    """

    start: int
    end: int
    name: str
    category: str
    standard: str = ""
    needs_context: bool = False
    near: tuple[str, ...] = ()


def find_patterns(flat: str) -> Iterator[Match]:
    """What the patterns find in a half-width text, in order, the longest first where several start."""
    for start, end in _windows(flat):
        for match in _SCANNER.finditer(flat, start, end):
            category = match.lastgroup or ""
            name = _standard_name(match[0]) if category == "standard" else match[0]
            if category == "algorithm" and name.islower():
                name = name.upper()
            elif category == "protocol":
                name = _version_name(name)
            yield Match(match.start(), match.end(), name, category, name if category == "standard" else "")


def find_named(flat: str) -> Iterator[Match]:
    """What is called after its authors or by a word of its own: X 攻击, X 曲线, X-Y 算法. New ones come too fast for any list."""
    if not _NAMED_END.search(flat):
        return
    for match in _NAME.finditer(flat):
        yield Match(match.start(), match.end(), match[0].replace(" ", ""), match.lastgroup or "", "", needs_context=True)


def _windows(flat: str) -> Iterator[tuple[int, int]]:
    """The stretches in which a pattern can match: scanning all of an English text would cost most of the time."""
    if not _MARK.search(flat):
        return
    for run in _RUN.finditer(flat):
        start, end = run.span()
        if not _MARK.search(flat, start, end) or (not _LETTER.search(flat, start, end) and _ZEROS not in run[0]):
            continue
        if end - start <= _SHORT:
            yield start, end
        else:
            yield from _around_digits(flat, run)


def _around_digits(flat: str, run: re.Match[str]) -> Iterator[tuple[int, int]]:
    tokens = [token.span() for token in _TOKEN.finditer(flat, run.start(), run.end())]
    first = last = -1
    for number, (start, end) in enumerate(tokens):
        if not _MARK.search(flat, start, end):
            continue
        if first >= 0 and number - _BEFORE > last:
            yield tokens[first][0], tokens[last][1]
            first = -1
        if first < 0:
            first = max(number - _BEFORE, last + 1, 0)
        last = min(number + _AFTER, len(tokens) - 1)
    if first >= 0:
        yield tokens[first][0], tokens[last][1]


def _standard_name(text: str) -> str:
    """GB/T 39786-2021 for every way of spacing and dashing it."""
    text = re.sub(r"\s?/\s?", "/", re.sub(r"\s?[-—]{1,2}\s?", "-", text))
    text = re.sub(r"^PKCS\s?#?", "PKCS#", re.sub(r"^FIPS\s?PUB", "FIPS", text))
    text = re.sub(r"^([A-Z/]+?)\s?(?=\d)", r"\1 ", text)
    return f"NIST {text}" if text.startswith("SP") else text


def _version_name(text: str) -> str:
    """TLS 1.2 for TLSv1.2, SSL 3.0 for SSLv3."""
    digits = re.findall(r"\d", text)
    return f"{re.split('[^A-Z]', text)[0]} {digits[0]}.{digits[1] if len(digits) > 1 else 0}"
