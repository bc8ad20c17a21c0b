#!/usr/bin/env python3
"""Moves the start of a certificate's validity twenty days back, so that a tenth of it is left: usage old_certificate.py FILE. No program
checks the signature here."""

import base64
import datetime
import re
import sys

path = sys.argv[1]
with open(path, encoding="ascii") as file:
    body = re.search("-----BEGIN CERTIFICATE-----(.*?)-----END", file.read(), re.DOTALL)[1]
der = base64.b64decode(body)
# The first UTCTime is the start.
at = der.index(b"\x17\x0d") + 2
earlier = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=20)).strftime("%y%m%d%H%M%SZ").encode()
der = der[:at] + earlier + der[at + 13 :]
with open(path, "w", encoding="ascii") as file:
    file.write(f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n")
