#!/bin/sh
# Installs kafka-iceberg: takes the archive of this system, holds it against SHA256SUMS, and puts the executable into
# a folder. Nothing else is changed; run it as who may write there.
#
#   sh install.sh [--from ADDRESS_OR_FOLDER] [--to FOLDER]
#
# --from  where the archives of a release are; --to  /usr/local/bin by default
set -eu

from=
to=/usr/local/bin

fail() {
  echo "install: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --from | --to)
      [ $# -ge 2 ] || fail "$1 needs a value"
      if [ "$1" = --from ]; then from=$2; else to=$2; fi
      shift 2
      ;;
    *) fail "unknown option $1; there are --from ADDRESS_OR_FOLDER and --to FOLDER" ;;
  esac
done
[ -n "$from" ] || fail "say where the release is: --from ADDRESS_OR_FOLDER"
[ -d "$to" ] && [ -w "$to" ] || fail "$to is no folder that $(id -un) may write to: choose one with --to, or run this as root"

case $(uname -s) in
  Linux) system=linux ;;
  Darwin) system=darwin ;;
  *) fail "there is no executable for $(uname -s)" ;;
esac
case $(uname -m) in
  x86_64 | amd64) processor=x64 ;;
  aarch64 | arm64) processor=arm64 ;;
  *) fail "there is no executable for processors of the kind $(uname -m)" ;;
esac
name=kafka-iceberg-$system-$processor
# Alpine and its kin have another C library.
if [ "$system" = linux ] && ls /lib/ld-musl-* >/dev/null 2>&1 && ! ls /lib*/ld-linux-* >/dev/null 2>&1; then
  name=$name-musl
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
take() {
  case $from in
    https://* | http://*)
      if command -v curl >/dev/null; then
        curl -fsSL -o "$folder/$1" "$from/$1" || fail "$from/$1 cannot be read"
      else
        wget -q -O "$folder/$1" "$from/$1" || fail "$from/$1 cannot be read"
      fi
      ;;
    *) cp "$from/$1" "$folder/$1" || fail "$from has no $1" ;;
  esac
}

take SHA256SUMS
take "$name.tar.gz"
grep " $name\.tar\.gz\$" "$folder/SHA256SUMS" >"$folder/sum" || fail "SHA256SUMS does not name $name.tar.gz"
if command -v sha256sum >/dev/null; then check="sha256sum -c"; else check="shasum -a 256 -c"; fi
(cd "$folder" && $check sum >/dev/null 2>&1) || fail "$name.tar.gz is not what SHA256SUMS says: nothing was installed"

tar -xzf "$folder/$name.tar.gz" -C "$folder"
"$folder/$name/kafka-iceberg" --version >/dev/null || fail "the executable does not run on this system"
# Under its name it is whole, also for a process that is being started.
cp "$folder/$name/kafka-iceberg" "$to/.kafka-iceberg.$$"
chmod 755 "$to/.kafka-iceberg.$$"
mv -f "$to/.kafka-iceberg.$$" "$to/kafka-iceberg"
echo "$("$to/kafka-iceberg" --version): $to/kafka-iceberg"
