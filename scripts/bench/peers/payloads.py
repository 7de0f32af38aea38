"""Writes the values of the first events, one a line, for Kafka's performance producer: payloads.py FILE COUNT."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "events"))

from generate import events  # noqa: E402

with open(sys.argv[1], "wb") as file:
    file.writelines(value + b"\n" for _, value in events(1, int(sys.argv[2])))
