"""Deterministic events: the same seed gives the same events, whatever the client.

About 270 bytes of JSON, 10 fields: strings, longs, a double, a nested struct, a list and an optional
field (`referrer`: set in 1 of 5, absent in 1 of 5, null in 3 of 5).
"""

import random

TYPES = ("view", "click", "purchase", "add_to_cart", "search", "login", "logout", "signup", "refund", "share")
COUNTRIES = ("US", "DE", "FR", "JP", "BR", "IN", "CN", "GB")
SYSTEMS = ("ios", "android", "windows", "macos", "linux")
TAGS = ("[]", '["new"]', '["new","sale"]', '["gift","sale","vip"]')
FIRST_TS = 1_760_000_000_000


def events(seed, count, first=0):
    """Yields (key, value) as bytes; `first` only shifts the running numbers and times."""
    rnd = random.Random(seed * 1_000_003 + first)
    bits, pick = rnd.getrandbits, rnd.random
    for i in range(first, first + count):
        user = int(pick() * 100_000)
        kind = TYPES[i % 10]
        turn = i % 5
        if turn == 0:
            referrer = f',"referrer":"https://search.example.org/?q={i % 971}"'
        elif turn == 1:
            referrer = ""
        else:
            referrer = ',"referrer":null'
        high, low = bits(64), bits(64)
        value = (
            f'{{"event_id":"{high:016x}{low:016x}","user_id":{user},"event_type":"{kind}",'
            f'"ts":{FIRST_TS + i * 2},"url":"https://shop.example.com/p/{low % 100_000}?ref={i % 97}",'
            f'"amount":{(high % 100_000) / 100 + 0.001:.3f},"country":"{COUNTRIES[i % 8]}",'
            f'"device":{{"os":"{SYSTEMS[i % 5]}","version":"{i % 17}.{i % 9}","width":{320 + low % 2000}}},'
            f'"tags":{TAGS[high % 4]}{referrer}}}'
        )
        yield str(user).encode(), value.encode()
