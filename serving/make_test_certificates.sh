#!/bin/sh
# Makes certificates for trying out TLS: an authority, a server and a client. Not for production.
#   ./make_test_certificates.sh FOLDER [HOST [DAYS]]      HOST: the server's name or IP address
#                                                        (default: localhost); DAYS: 30
# Then FOLDER holds ca.pem, server.pem, server.key, client.pem, client.key and ssl.config for TensorFlow Serving.
set -eu

folder=${1:?usage: make_test_certificates.sh FOLDER [HOST [DAYS]]}
host=${2:-localhost}
days=${3:-30}
mkdir -p "$folder"
cd "$folder"
umask 077

# OpenSSL shows its progress where it also says what is wrong: that is kept, and shown where it fails.
quietly() {
    if ! said=$("$@" 2>&1); then
        printf '%s\n' "$said" "make_test_certificates.sh: this has failed: $*" >&2
        exit 1
    fi
}

quietly openssl req -x509 -newkey rsa:2048 -nodes -days "$days" -subj "/CN=test authority" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" \
    -keyout ca.key -out ca.pem

issue() {
    quietly openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
    printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "$3" "$4" > "$1.ext"
    quietly openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" \
        -extfile "$1.ext" -out "$1.pem"
    rm "$1.csr" "$1.ext"
}
case $host in
*:*) kind=IP ;;
*[!0-9.]*) kind=DNS ;;
*) kind=IP ;;
esac
issue server "$host" "$kind:$host,DNS:localhost,IP:127.0.0.1" serverAuth
issue client "client" "DNS:client" clientAuth

# TensorFlow Serving takes the texts themselves, with \n for each end of line, not the paths.
inline() { awk '{ printf "%s\\n", $0 }' "$1"; }
{
    printf 'server_key: "%s"\n' "$(inline server.key)"
    printf 'server_cert: "%s"\n' "$(inline server.pem)"
    printf 'custom_ca: "%s"\n' "$(inline ca.pem)"
    printf 'client_verify: true\n'
} > ssl.config
