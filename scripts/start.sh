#!/bin/sh
# Starts Slipstream and starts it again when it crashes. Where systemd or launchd is at hand, deploy/ has their files.
#
#   scripts/start.sh                in the background; returns when the server is ready
#   scripts/start.sh --foreground   stays, with the log on stdout
#
# Settings are the server's own, from the environment or a .env file in the working folder. Beside them:
#   SLIPSTREAM         the program; else dist/slipstream beside this folder, or slipstream on PATH, or the source
#   PID_FILE           else slipstream.pid in DATA_DIR
#   LOG_FILE           else slipstream.log in DATA_DIR; appended to
#   START_TIMEOUT      seconds to wait for the server to be ready, 60
#   RESTARTS_MAX       crashes in a row before it is left as it is, 10; a run of a minute begins a new row
#   RESTART_DELAY_MAX  longest pause before a restart, 30 seconds; pauses begin at one second and double
set -u

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/process.sh
. "$here/process.sh"

usage() {
  echo 'usage: start.sh [--foreground]' >&2
  exit 2
}

# One line of the log, in the form of the server's own.
event() {
  level=$1 name=$2
  printf '{"timestamp":"%s","level":"%s","logger":"slipstream.supervisor","event":"%s"%s}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$level" "$name" "${3:-}"
}

# Ends with the server's exit code. A trap ends a wait early, and the wait has to be taken up again.
wait_for() {
  while :; do
    signalled=0
    # A shell tells of a child that was killed in words of its own, which no reader of the log expects.
    wait "$1" 2>/dev/null
    code=$?
    [ "$signalled" = 1 ] || return 0
  done
}

forward() {
  stopping=1 signalled=1
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}

# A terminal sends Ctrl-C to the server too, and a second signal would end it without a drain.
interrupted() {
  stopping=1 signalled=1
}

leave() {
  rm -f "$server_file"
  # Another one may have taken over a file that looked stale.
  if is_owner "$pid_file" $$; then rm -f "$pid_file"; fi
}

# Runs the server until it is told to stop, ends by itself, or crashes too often.
supervise() {
  claim "$pid_file" $$ || refuse_double_start
  child='' stopping=0 signalled=0 crashes=0 delay=1 code=0
  trap leave EXIT
  trap forward TERM HUP
  trap interrupted INT
  while :; do
    started=$(now)
    # The words of the command are meant to be split.
    # shellcheck disable=SC2086
    $program serve &
    child=$!
    write_pid "$server_file" "$child"
    [ "$stopping" = 0 ] || forward
    wait_for "$child"
    rm -f "$server_file"
    child=''
    case $stopping$code in
      1* | 00) return "$code" ;;
      02 | 078)
        event error supervisor.given_up ",\"exit_code\":$code,\"why\":\"a restart does not mend wrong usage or settings\""
        return "$code"
        ;;
    esac
    if [ $(($(now) - started)) -ge 60 ]; then crashes=0 delay=1; fi
    crashes=$((crashes + 1))
    if [ "$crashes" -gt "${RESTARTS_MAX:-10}" ]; then
      event error supervisor.given_up ",\"exit_code\":$code,\"crashes\":$crashes"
      return "$code"
    fi
    event warning supervisor.restart ",\"exit_code\":$code,\"crashes\":$crashes,\"delay_seconds\":$delay"
    sleep "$delay" &
    child=$!
    wait_for "$child"
    child=''
    [ "$stopping" = 0 ] || return 0
    delay=$((delay * 2))
    [ "$delay" -le "${RESTART_DELAY_MAX:-30}" ] || delay=${RESTART_DELAY_MAX:-30}
  done
}

refuse_double_start() {
  echo "Slipstream runs already, as process $(read_pid "$pid_file") ($pid_file)." >&2
  exit 1
}

# A server writes down where it listens once it is ready.
is_ready() {
  is_alive "$server_file" &&
    grep -q "\"pid\":$(read_pid "$server_file"),\"url\":\"" "$data_dir/holder.json" 2>/dev/null
}

# Waits for the server to be ready, and says so.
await_ready() {
  began=$(now)
  while is_alive "$pid_file"; do
    if is_ready; then
      echo "Slipstream runs as process $(read_pid "$server_file"); its log is $log_file."
      return 0
    fi
    if [ $(($(now) - began)) -ge "${START_TIMEOUT:-60}" ]; then
      echo "Slipstream runs but is not ready after ${START_TIMEOUT:-60} s; its log is $log_file." >&2
      return 1
    fi
    pause
  done
  echo "Slipstream did not start; the end of its log, $log_file:" >&2
  tail -n 5 "$log_file" >&2
  return 1
}

mode=${1:-background}
[ $# -le 1 ] || usage
find_program
# Wrong settings are told here and now, and not in a log.
# shellcheck disable=SC2086
[ "$mode" = --supervise ] || $program config check >/dev/null || exit $?
find_settings
find_files
if is_alive "$pid_file"; then refuse_double_start; fi
if is_alive "$server_file"; then
  echo "A server whose supervisor has gone runs as process $(read_pid "$server_file"): scripts/stop.sh ends it." >&2
  exit 1
fi

case $mode in
  --foreground | --supervise)
    supervise
    exit $?
    ;;
  background)
    # Colours are for people; a file is read by programs, unless the settings say otherwise.
    [ -n "$(setting LOG_FORMAT)" ] || export LOG_FORMAT=json
    nohup "$0" --supervise </dev/null >>"$log_file" 2>&1 &
    supervisor=$!
    # The file is there once the supervisor has come so far, or never, where it ended before.
    while kill -0 "$supervisor" 2>/dev/null && ! is_alive "$pid_file"; do pause; done
    await_ready
    ;;
  *) usage ;;
esac
