# shellcheck shell=sh disable=SC2154 # the script that sources this sets $root
# Makes the virtual environment of a checkout, for ./camcensus with ./test.
#
# An environment of ours carries the mark .camcensus; one that somebody else made is never touched.
# It counts as ready when it holds a copy of the lock file it was made from. The copy is written
# last, so what was interrupted or failed is made anew. A lock folder beside the environment keeps
# two set-ups apart. Everything that is said goes to stderr.

say() {
    printf 'camcensus: %s\n' "$1" >&2
}

# $1 exit code, then lines.
give_up() {
    code=$1
    shift
    for line in "$@"; do say "$line"; done
    exit "$code"
}

# Sets $venv: beside the code or, where that cannot be written or is not ours, in the user's cache.
choose_environment() {
    venv=$root/.venv
    if [ -w "$root" ]; then
        if [ ! -e "$venv" ]; then return; fi
        if [ -e "$venv/.camcensus" ] && [ -w "$venv" ]; then return; fi
    fi
    cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/camcensus
    mkdir -p "$cache" 2>/dev/null ||
        give_up 1 "neither $root nor $cache can be written, so there is no place for the environment"
    venv=$cache/$(printf '%s' "$root" | cksum | tr ' ' -)
}

is_ready() {
    cmp -s -- "$root/requirements.lock" "$venv/.requirements.lock" && [ -x "$venv/bin/python" ]
}

# Prints the real path of the interpreter $1, if it is new enough.
real_python() {
    "$1" -I -c 'import os, sys; sys.version_info < (3, 11) and sys.exit(1); print(os.path.realpath(sys.executable))' 2>/dev/null
}

# Sets $python, and fails with the way to mend it where there is none.
find_python() {
    uv=$(command -v uv) || uv=
    if [ -n "${CAMCENSUS_PYTHON:-}" ]; then
        python=$(real_python "$CAMCENSUS_PYTHON") ||
            give_up 2 "CAMCENSUS_PYTHON is $CAMCENSUS_PYTHON, which is not a Python 3.11 or newer"
        [ -n "$uv" ] || can_make_environments || no_venv_module
        return
    fi
    without=
    for name in python3.13 python3.12 python3.11 python3.14 python3; do
        python=$(real_python "$name") || continue
        if [ -n "$uv" ] || can_make_environments; then return; fi
        without=${without:-$python}
    done
    if [ -n "$without" ]; then
        python=$without
        no_venv_module
    fi
    if command -v apt-get >/dev/null; then
        give_up 1 "needs Python 3.11 or newer, and there is none here. Install it with:" \
            "    sudo apt install python3 python3-venv" \
            "or name yours: CAMCENSUS_PYTHON=/path/to/python3.13"
    fi
    give_up 1 "needs Python 3.11 or newer, and there is none here. Install it, or name yours:" \
        "    CAMCENSUS_PYTHON=/path/to/python3.13"
}

can_make_environments() {
    "$python" -I -c 'import ensurepip, venv' 2>/dev/null
}

no_venv_module() {
    version=$("$python" -I -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
    if command -v apt-get >/dev/null; then
        give_up 1 "$python cannot make virtual environments. Mend it with:" \
            "    sudo apt install python$version-venv"
    fi
    give_up 1 "$python cannot make virtual environments: its modules venv and ensurepip are missing"
}

# Whether process $1 has died; one that has not said its number for $2 seconds died early.
is_gone() {
    if [ -z "$1" ]; then
        [ "$2" -ge 5 ]
    else
        ! kill -0 "$1" 2>/dev/null && [ ! -d "/proc/$1" ]
    fi
}

# Holds $venv.lock while this shell lives; waits for another set-up, forgets one that died.
take_turn() {
    turn=$venv.lock
    waited=0
    until mkdir "$turn" 2>/dev/null; do
        [ -w "${venv%/*}" ] || give_up 1 "cannot write to ${venv%/*}"
        holder=$(cat "$turn/pid" 2>/dev/null) || holder=
        if is_gone "$holder" "$waited"; then
            # Only one of those who wait can rename it.
            mv "$turn" "$turn.$$" 2>/dev/null && rm -rf "$turn.$$"
            continue
        fi
        [ "$waited" -ne 0 ] || say "waiting for another set-up${holder:+ (process $holder)}"
        waited=$((waited + 1))
        [ "$waited" -lt 900 ] || give_up 1 "waited long enough: if no other set-up runs, remove $turn"
        sleep 1
    done
    trap 'rm -rf "$turn"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    echo "$$" >"$turn/pid"
}

end_turn() {
    rm -rf "$turn"
    trap - EXIT INT TERM HUP
}

# Installs the lock file $1, every package checked against its hashes. The certificates of the machine
# are used, because a proxy may sign with its own. What carries its own packages asks nobody.
install_locked() {
    set -- --no-deps --require-hashes -r "$1"
    [ ! -d "$root/wheels" ] || set -- --no-index --find-links "$root/wheels" "$@"
    if [ -n "$uv" ]; then
        UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true "$uv" pip install --quiet --python "$venv/bin/python" "$@" >&2
    else
        "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input install --quiet "$@" >&2
    fi
}

# Makes an empty environment where $venv is; only what carries our mark is removed for it.
make_environment() {
    if [ -e "$venv" ] && [ ! -e "$venv/.camcensus" ]; then
        give_up 1 "$venv was not made by camcensus, and stays as it is: move it away"
    fi
    say "setting up with $python, once: the environment goes to $venv"
    rm -rf "$venv"
    mkdir -p "$venv"
    : >"$venv/.camcensus"
    if [ -n "$uv" ]; then
        "$uv" venv --quiet --no-project --allow-existing --python "$python" "$venv" >&2
    else
        "$python" -I -m venv "$venv" >&2
    fi || give_up 1 "the environment could not be made, for the reason above"
}

# Whether the interpreter of $venv still runs and packages can be put beside it.
takes_packages() {
    if [ -n "$uv" ]; then
        "$venv/bin/python" -I -c '' 2>/dev/null
    else
        "$venv/bin/python" -I -m pip --version >/dev/null 2>&1
    fi
}

# Compiles our code as pip has compiled the packages: a quarter of a short run where Python, by
# PYTHONDONTWRITEBYTECODE, keeps nothing. A checkout that cannot be written goes without.
compile_code() {
    "$venv/bin/python" -I -m compileall -q -- "$root/agent" "$root/exchange" "$root/fingerprints" \
        "$root/inventory" "$root/reporters" "$root/simulator" >/dev/null 2>&1 || :
}

# Makes $venv whole, unless another set-up has done so while we waited.
prepare_environment() {
    find_python
    take_turn
    if ! is_ready; then
        stamp=$venv/.requirements.lock
        if [ -e "$stamp" ] && [ -e "$venv/.camcensus" ] && takes_packages; then
            # It was whole once: what changed goes on top. Without its stamp it is made anew if this fails.
            rm -f "$stamp"
        else
            make_environment
        fi
        say "installing the packages of requirements.lock, each checked against its hash"
        install_locked "$root/requirements.lock" ||
            give_up 1 "the packages could not be installed, for the reason above. Run it again to try again" \
                "(behind a proxy set https_proxy; for a mirror PIP_INDEX_URL or UV_DEFAULT_INDEX)"
        compile_code
        cp "$root/requirements.lock" "$stamp.part"
        mv "$stamp.part" "$stamp"
        say "ready"
    fi
    end_turn
}
