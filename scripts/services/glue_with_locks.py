"""moto's server (S3, Glue, STS), with what AWS promises and moto 5.2.5 lacks: UpdateTable compares VersionId.

usage: glue_with_locks.py -H 127.0.0.1 -p PORT
"""

import sys
import threading

import moto.glue.responses as responses
from moto.glue.exceptions import GlueClientError
from moto.server import main

lock = threading.Lock()
update_table = responses.GlueResponse.update_table


def update_table_if_unchanged(self):
    with lock:
        wanted = self.parameters.get("VersionId")
        if wanted is not None:
            name = self.parameters["TableInput"]["Name"]
            table = self.glue_backend.get_table(self.parameters["DatabaseName"], name)
            if str(table.as_dict()["VersionId"]) != str(wanted):
                raise GlueClientError(
                    "ConcurrentModificationException", "Update table failed due to concurrent modifications."
                )
        return update_table(self)


responses.GlueResponse.update_table = update_table_if_unchanged
main(sys.argv[1:])
