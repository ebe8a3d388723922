# shellcheck shell=sh
# What renew and gateway share: the bundle in Redis, and how to get at it.
#
# The hash $BUNDLE has the fields `version`, `token` and `bundle`: a tar of cert.pem, key.pem and
# routes. It is one value, so nobody can ever see a new routing table beside an old certificate.
# The key "$BUNDLE:routes" has the routing table as the operators want it.
#
# It talks to $REDIS_URL, as leaderwrap does; a password belongs into $REDISCLI_AUTH.
# shellcheck disable=SC2034 # for those who source this
BUNDLE=${BUNDLE:-gateway}
POLL=${POLL:-1}
url=${REDIS_URL-redis://127.0.0.1:6379/0}
umask 077

redis() {
    case $url in
    unix://*\?db=*) path=${url#unix://} && redis-cli -s "${path%\?*}" -n "${url##*=}" "$@" ;;
    unix://*) redis-cli -s "${url#unix://}" "$@" ;;
    *) redis-cli --no-auth-warning -u "$url" "$@" ;;
    esac
}

say() {
    echo "${0##*/}: $*"
}

# Unpacks what is published into a folder; fails where nothing is, or Redis cannot be reached.
fetch() {
    redis hget "$BUNDLE" bundle | tar -x -C "$1" cert.pem key.pem routes 2>/dev/null
}
