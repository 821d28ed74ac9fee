"""Whether the number of a standard is one that was ever published, as far as Danlu knows; names as `data.terms` writes them.

It cannot prove that a number exists: GB/T alone has tens of thousands. A doubt says what was expected instead.
"""

import functools
import re
from pathlib import Path

import tomli

_FILE = Path(__file__).with_name("standards.toml")
_CHINESE = re.compile(r"(GB/T|GM/T) (\d+(?:\.\d+)?)(?:-(\d{4}))?")

_LAST = {"RFC": 9999, "GB/T": 48000}
"""Numbers above are not given out yet (late 2026)."""
_NEWEST = 2024
"""From this year on the list of GM/T is not complete."""
_FIPS = {
    46: 3, 81: 0, 113: 0, 140: 3, 180: 4, 181: 0, 185: 0, 186: 5, 197: 0, 198: 1, 199: 0, 200: 0, 201: 3, 202: 0, 203: 0, 204: 0, 205: 0,
    206: 0,
}  # fmt: skip
"""FIPS publications on security, with their last revision."""
_SP_800 = {"38": "ABCDEFG", "56": "ABC", "63": "ABC", "67": "", "90": "ABC", "108": "", "131": "A", "132": "", "185": "", "208": ""}
"""NIST SP 800 numbers in parts: the letters there are."""
_PKCS = {1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15}


def doubt(name: str) -> str:
    """Why the standard `name` may not exist, '' when it is known or in a series that no list covers."""
    if match := _CHINESE.fullmatch(name):
        return _doubt_chinese(match[1], match[2], int(match[3] or 0))
    if match := re.fullmatch(r"RFC (\d+)", name):
        number = int(match[1])
        return "" if 1 <= number <= _LAST["RFC"] else f"RFCs are numbered up to {_LAST['RFC']} so far"
    if match := re.fullmatch(r"FIPS (\d+)(?:-(\d))?", name):
        return _doubt_fips(int(match[1]), int(match[2] or 0))
    if match := re.fullmatch(r"NIST SP 800-(\d+)([A-Z]?)", name):
        letters = _SP_800.get(match[1], match[2])
        return "" if match[2] in letters or not match[2] else f"NIST SP 800-{match[1]} has {_parts(letters)}"
    if match := re.fullmatch(r"PKCS#(\d+)", name):
        return "" if int(match[1]) in _PKCS else "PKCS has #1, #3, #5 to #13 and #15"
    return ""


@functools.cache
def _known() -> dict[str, dict[str, list[int]]]:
    return tomli.loads(_FILE.read_text(encoding="utf-8"))


def _doubt_chinese(series: str, number: str, year: int) -> str:
    years = _known()[series].get(number)
    if years is None:
        return _doubt_number(series, number, year)
    if not year or year in years:
        return ""
    return f"{series} {number} is known from {', '.join(map(str, years))}, not from {year}"


def _doubt_number(series: str, number: str, year: int) -> str:
    """A number that is not in the list: always doubtful in GM/T, in GB/T only when it is too high or next to a known one."""
    other = "GB/T" if series == "GM/T" else "GM/T"
    if number in _known()[other]:
        return f"{number} is a number of {other}"
    if series == "GB/T":
        if int(float(number)) > _LAST["GB/T"]:
            return f"GB/T numbers go up to about {_LAST['GB/T']} so far"
        if near := _misread(number, year):
            return f"not among the known standards of cryptography; perhaps GB/T {near}-{year} is meant"
        return ""
    last = max(_known()["GM/T"])
    return "" if year >= _NEWEST and last < number < "02" else f"not among the known GM/T standards (0001 to {last})"


def _misread(number: str, year: int) -> str:
    """A known GB/T of the same year from which `number` differs by two neighbouring digits changing places, or in its part."""
    swaps = [number[:i] + number[i + 1] + number[i] + number[i + 2 :] for i in range(len(number) - 1) if number[i] != number[i + 1]]
    main = number.partition(".")[0]
    parts = [known for known in _known()["GB/T"] if "." in number and known.partition(".")[0] == main]
    return next((other for other in [*swaps, *parts] if year in _known()["GB/T"].get(other, ())), "")


def _doubt_fips(number: int, revision: int) -> str:
    if number > max(_FIPS):
        return f"FIPS publications are numbered up to {max(_FIPS)} so far"
    last = _FIPS.get(number, revision)
    if revision <= last:
        return ""
    return f"the last revision of FIPS {number} is {number}-{last}" if last else f"FIPS {number} has no revisions"


def _parts(letters: str) -> str:
    return f"parts {letters[0]} to {letters[-1]}" if len(letters) > 1 else f"part {letters}" if letters else "no parts"
