"""Stores of other clouds for PyIceberg and DuckDB, through Arrow's own clients: {"kind": "gcs", endpoint} or
{"kind": "azure", endpoint, account, key}. S3 needs none of this: both know it."""

import io
from urllib.parse import urlparse

import pyarrow.fs as arrow
from fsspec.spec import AbstractFileSystem
from pyiceberg.io.pyarrow import PyArrowFileIO

KINDS = {"gcs": ("gs",), "azure": ("abfss", "abfs", "wasbs", "wasb")}


def is_other(store):
    return bool(store) and "kind" in store and store["kind"] in KINDS


def filesystem(store):
    address = urlparse(store["endpoint"])
    if not is_other(store):
        keys = {"access_key": store["accessKey"], "secret_key": store["secretKey"], "region": store["region"]}
        return arrow.S3FileSystem(endpoint_override=address.netloc, scheme=address.scheme, **keys)
    if store["kind"] == "gcs":
        return arrow.GcsFileSystem(anonymous=True, endpoint_override=address.netloc, scheme=address.scheme)
    blob = {"blob_storage_authority": address.netloc, "blob_storage_scheme": address.scheme}
    dfs = {"dfs_storage_authority": address.netloc, "dfs_storage_scheme": address.scheme}
    return arrow.AzureFileSystem(store["account"], account_key=store["key"], **blob, **dfs)


def path_of(location):
    """Bucket or container, then the key."""
    place, _, key = location.partition("://")[2].partition("/")
    return f"{place.split('@')[0]}/{key}"


def names(store, folder):
    """Names of the files in a folder of a store."""
    selector = arrow.FileSelector(path_of(folder), allow_not_found=True)
    return [info.base_name for info in filesystem(store).get_file_info(selector)]


def io_properties(store):
    return {"py-io-impl": "stores.StoreIO", **{f"judge.{name}": value for name, value in store.items() if isinstance(value, str)}}


class StoreIO(PyArrowFileIO):
    """PyIceberg's own, with the file systems above."""

    def _initialize_fs(self, scheme, netloc=None):
        return filesystem({name.removeprefix("judge."): value for name, value in self.properties.items()})

    @staticmethod
    def parse_location(location, properties=None):
        scheme, _, rest = location.partition("://")
        return scheme, rest.partition("/")[0], path_of(location)


class Files(AbstractFileSystem):
    """Reads whole files by their locations, which stay what they are: DuckDB answers them as file names."""

    cachable = False

    def __init__(self, arrow_fs):
        super().__init__()
        self.arrow_fs = arrow_fs

    @classmethod
    def _strip_protocol(cls, path):
        return path.partition("://")[2] if "://" in path else path

    def _place(self, path):
        return path_of(path if "://" in path else f"x://{path}")

    def info(self, path, **kwargs):
        [found] = self.arrow_fs.get_file_info([self._place(path)])
        if found.type != arrow.FileType.File:
            raise FileNotFoundError(path)
        return {"name": path, "size": found.size, "type": "file"}

    def modified(self, path):
        [found] = self.arrow_fs.get_file_info([self._place(path)])
        return found.mtime

    def glob(self, path, **kwargs):
        return [self._strip_protocol(path)]

    def _open(self, path, mode="rb", **kwargs):
        """The whole file: a server may refuse to read nothing behind its end."""
        with self.arrow_fs.open_input_file(self._place(path)) as file:
            return io.BytesIO(file.read(file.size()))


def register(con, store):
    for scheme in KINDS[store["kind"]]:
        kind = type(f"Files_{scheme}", (Files,), {"protocol": (scheme,)})
        con.register_filesystem(kind(filesystem(store)))
