# Sourced by scripts that write the same files. `take_lock NAME` waits for the lock of that name in this folder and holds
# it until the shell ends.

take_lock() {
  local lock=".data/$1.lock" holder
  mkdir -p -m 700 .data
  if command -v flock >/dev/null; then
    exec 9>"$lock"
    flock 9
    return
  fi
  until mkdir "$lock.d" 2>/dev/null; do
    holder="$(cat "$lock.d/pid" 2>/dev/null)" || holder=''
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
      rm -rf "$lock.d" # Its holder was killed.
    else
      sleep 0.2
    fi
  done
  # shellcheck disable=SC2064 # Expands now, on purpose.
  trap "rm -rf '$lock.d'" EXIT
  echo $$ >"$lock.d/pid"
}
