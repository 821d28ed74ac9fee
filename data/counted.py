"""How many of something, in an English sentence. The console's own texts choose their words in the catalogues."""


def counted(number: int, one: str, several: str) -> str:
    """ "1 record" or "2 records"."""
    return f"{number} {one if number == 1 else several}"
