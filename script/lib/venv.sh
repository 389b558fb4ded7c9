# Sourced by script/kis and script/test: a virtual environment that holds what a lock file pins.

# Say the cause and the remedy on standard error (standard output belongs to --json); end with 3,
# a dependency is unavailable.
fail() {
  printf '%s\n' "$@" >&2
  exit 3
}

# Print the real path of a Python >= 3.11 that can make environments. Not the name: `python3` changes
# its target with a system upgrade and would leave a broken environment that looks whole.
find_python() {
  local name path found=
  for name in python3.11 python3.12 python3.13 python3; do
    path=$("$name" -I -c '
import os, sys
if sys.version_info < (3, 11): sys.exit(1)
print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))' 2>/dev/null) || continue
    found=$path
    "$path" -I -c 'import ensurepip, venv' 2>/dev/null || continue
    printf '%s\n' "$path"
    return
  done
  [[ -z $found ]] || fail \
    "$found: venv 모듈이 없습니다. Debian/Ubuntu: sudo apt install ${found##*/}-venv" \
    "$found has no venv module. On Debian or Ubuntu: sudo apt install ${found##*/}-venv"
  fail "Python 3.11 이상이 필요합니다. 설치한 뒤 다시 실행하십시오." \
    "Python 3.11 or newer is needed. Install it and run this command again."
}

# is_current VENV LOCK: the copy of the lock is written last, so an interrupted installation fails this.
is_current() {
  [[ -x $1/bin/python ]] && cmp -s "$2" "$1/installed.lock"
}

# install VENV LOCK PYTHON: build from nothing, so that no package of an older lock stays behind.
install() {
  "$3" -I -m venv --clear "$1" &&
    "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-input \
      --only-binary :all: --require-hashes -r "$2" &&
    # Relative to site-packages, so that the checkout can be moved.
    echo ../../../../src >"$(echo "$1"/lib/python3.*/site-packages)/kis_estimator.pth" &&
    cp "$2" "$1/installed.lock"
}

# ensure_venv VENV LOCK: two commands started at once take turns, the second finds the work done.
ensure_venv() {
  local python
  is_current "$@" && return
  python=$(find_python)
  (
    # flock(1) is not everywhere; a lock taken by Python on descriptor 9 lasts as long as this subshell.
    "$python" -I -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    is_current "$@" && exit
    echo "처음 한 번 설치합니다… / Setting up (once)…"
    install "$@" "$python"
  ) 9>>"$1.lock" >&2 || fail \
    "설치하지 못했습니다. 위의 원인을 해결하고 다시 실행하십시오." \
    "The installation failed. Solve the cause above and run this command again."
}
