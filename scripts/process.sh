# What start.sh and stop.sh share: which program, which files, and which process a file means. Read by them with `.`.
# Variables are set here and used there.
# shellcheck shell=sh disable=SC2034

: "${here:?is set by the script that reads this}"

# The command of the program, in words.
find_program() {
  if [ -n "${SLIPSTREAM:-}" ]; then
    program=$SLIPSTREAM
  elif [ -x "$here/../dist/slipstream" ]; then
    program=$here/../dist/slipstream
  elif command -v slipstream >/dev/null; then
    program=slipstream
  else
    program="bun $here/../src/main.ts"
  fi
}

# All settings as the server reads them, from the environment or from .env.
find_settings() {
  # shellcheck disable=SC2086
  settings=$($program config print) || exit $?
}

setting() {
  echo "$settings" | sed -n "s/^$1=//p"
}

find_files() {
  data_dir=$(setting DATA_DIR)
  mkdir -p "$data_dir" || exit 1
  pid_file=${PID_FILE:-$data_dir/slipstream.pid}
  log_file=${LOG_FILE:-$data_dir/slipstream.log}
  server_file=$pid_file.server
}

# POSIX knows whole seconds only, and most systems know parts of them.
pause() {
  sleep 0.2 2>/dev/null || sleep 1
}

now() {
  date +%s
}

# When a process began, so that its number in another's hands is not taken for it; nothing where it has ended. The kernel
# counts from the boot, which has an id.
mark_of() {
  if [ -d /proc/self ]; then
    # The name of a process may have spaces and parentheses in it: what follows begins after the last of them, with the
    # state; the 22nd field is the 20th from there.
    stat=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null)
    case $stat in '' | Z* | X*) return 0 ;; esac
    echo "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null) $(echo "$stat" | cut -d ' ' -f 20)"
  else
    case $(ps -o stat= -p "$1" 2>/dev/null) in '' | Z*) return 0 ;; esac
    ps -o lstart= -p "$1"
  fi
}

read_pid() {
  sed -n 1p "$1" 2>/dev/null
}

# The process that a file means is there, and is the one that wrote it.
is_alive() {
  [ -f "$1" ] || return 1
  file_pid=$(read_pid "$1")
  case $file_pid in '' | *[!0-9]*) return 1 ;; esac
  file_mark=$(sed -n 2p "$1")
  [ -n "$file_mark" ] && [ "$(mark_of "$file_pid")" = "$file_mark" ]
}

is_owner() {
  [ "$(read_pid "$1")" = "$2" ]
}

# Under its final name with all of its content, or not at all.
write_pid() {
  { echo "$2" && mark_of "$2"; } >"$1.$$" && mv -f "$1.$$" "$1"
}

# Takes a PID file for a process; fails where another one that lives has it. Of two that find the same stale file one
# gets it: a link is made in one step, and what a link is made over is moved away first and looked at again.
claim() {
  { echo "$2" && mark_of "$2"; } >"$1.$$" || return 1
  tries=0
  until ln "$1.$$" "$1" 2>/dev/null; do
    tries=$((tries + 1))
    if is_alive "$1" || [ "$tries" -gt 5 ]; then
      rm -f "$1.$$"
      return 1
    fi
    mv -f "$1" "$1.stale.$$" 2>/dev/null || continue
    if is_alive "$1.stale.$$"; then ln "$1.stale.$$" "$1" 2>/dev/null; fi
    rm -f "$1.stale.$$"
  done
  rm -f "$1.$$"
}
