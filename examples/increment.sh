#!/bin/sh
# A fenced command in a few lines of shell: each second it increments a counter in Redis, but only
# while its term is the newest one of the lease. Made to be copied.
#
#   leaderwrap -- ./examples/increment.sh [--counter-key KEY]      # KEY: default global_counter
#
# It talks to $REDIS_URL, as leaderwrap does; a password is safer in $REDISCLI_AUTH than in the URL,
# which anybody on the host can see in the arguments of redis-cli.
set -u
case $#:${1-} in
0:) counter=${LEADERWRAP_COUNTER_KEY-global_counter} ;;
2:--counter-key) counter=$2 ;;
*) echo "usage: $0 [--counter-key KEY]" >&2 && exit 64 ;;
esac
url=${REDIS_URL-redis://127.0.0.1:6379/0}
: "${LEADERWRAP_TOKEN:?is not set: start this with leaderwrap -- $0}"

# The lease's record; where the lease has a hash tag {name} the record shares it.
case $LEADERWRAP_KEY in
*'{'*) record=$LEADERWRAP_KEY:term ;;
*) record="{$LEADERWRAP_KEY}:term" ;;
esac

# The check and the write are one script: nothing comes between them, however long we were frozen.
# A record that is lost, vacant or older than we are will soon be written again by its holder.
fenced_increment='
local record = redis.call("HMGET", KEYS[2], "st", "tok")
local state, newest, mine = record[1], tonumber(record[2] or 0), tonumber(ARGV[1])
if newest == mine and state == "held" then return redis.call("INCR", KEYS[1]) end
if newest < mine or newest == mine and state == "vacant" then return "UNKNOWN" end
return "FENCED " .. record[2]'

redis() {
    case $url in
    unix://*\?db=*) path=${url#unix://} && redis-cli -s "${path%\?*}" -n "${url##*=}" "$@" ;;
    unix://*) redis-cli -s "${url#unix://}" "$@" ;;
    *) redis-cli --no-auth-warning -u "$url" "$@" ;;
    esac
}

while :; do
    answer=$(redis eval "$fenced_increment" 2 "$counter" "$record" "$LEADERWRAP_TOKEN")
    case $answer in
    [0-9]*) echo "$counter = $answer ($LEADERWRAP_NAME, token $LEADERWRAP_TOKEN)" ;;
    FENCED*) echo "stopping: our token is not the newest any more" >&2 && exit 1 ;;
    UNKNOWN | '') ;;
    *) echo "redis says: $answer" >&2 ;;
    esac
    sleep 1
done
