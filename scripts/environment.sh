# Sourced by the other scripts: the repository's virtual environments, made and filled where they are not.
# shellcheck shell=bash

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "${0##*/}: $*"
    exit 1
}

# Prints 311 for Python 3.11; nothing for a command that does not run (version managers leave such stubs on PATH).
python_version() {
    "$1" -c 'import sys; print(sys.version_info[0] * 100 + sys.version_info[1])' 2>/dev/null || true
}

# find_python LOWEST HIGHEST [COMMAND…]: sets $python to the first command whose version lies between the two.
find_python() {
    local lowest=$1 highest=$2 candidate version seen=
    shift 2
    for candidate in "$@"; do
        version=$(python_version "$candidate")
        if [[ -n $version ]]; then
            if ((version >= lowest && version <= highest)); then
                python=$candidate
                return 0
            fi
            seen+="${seen:+, }$candidate is ${version:0:1}.$((10#${version:1}))"
        fi
    done
    [[ -n $seen ]] && say "found: $seen" || say "found: no Python"
    return 1
}

choose_python() {
    local stack=$1 wanted="Python 3.10 or newer" highest=399
    local cure="install one, or name it with PYTHON=…"
    if [[ $stack == addons ]]; then
        wanted="Python 3.10 or 3.11 (TensorFlow 2.15 has no wheels for newer ones)" highest=311
    fi
    if [[ -n ${PYTHON:-} ]]; then
        find_python 310 "$highest" "$PYTHON" || fail "PYTHON=$PYTHON cannot be used; wanted $wanted"
    elif [[ $stack == addons ]]; then
        find_python 310 "$highest" python3.11 python3.10 python3 || fail "wanted $wanted; $cure"
    else
        # TensorFlow's wheels come months after a new Python: versions that are known to have them go first.
        find_python 310 313 python3 python3.13 python3.12 python3.11 python3.10 2>/dev/null ||
            find_python 310 "$highest" python3 python || fail "wanted $wanted; $cure"
    fi
}

make_environment() {
    local venv=$1 stack=$2 log
    choose_python "$stack"
    say "making ${venv#"$root"/} with $("$python" --version 2>&1) …"
    if ! log=$("$python" -m venv "$venv" 2>&1); then
        rm -rf -- "$venv" # Half made, and by this call.
        printf '%s\n' "$log" >&2
        fail "$python cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv)"
    fi
}

# ensure_environment VENV STACK EXTRAS: an environment with the package installed editable; STACK is default or addons.
ensure_environment() {
    local venv=$1 stack=$2 extras=$3 stamp known log
    [[ -e $venv ]] || make_environment "$venv" "$stack"
    [[ -n $(python_version "$venv/bin/python") ]] ||
        fail "$venv: its Python does not run (moved, or removed since?); remove the folder and run again"
    known=$venv/rsir_tf-installed
    # The folder is part of it: an editable installation points to it.
    stamp=$("$venv/bin/python" - "$root" <<'PYTHON'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
print(hashlib.sha256((root / "pyproject.toml").read_bytes() + str(root).encode()).hexdigest())
PYTHON
    )
    if [[ -f $known ]]; then
        # Whatever was installed with extras has all that is wanted without.
        grep -q -x -F "$stamp ${extras:-}" "$known" && return 0
        [[ -z $extras ]] && grep -q "^$stamp " "$known" && return 0
    fi
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null 2>&1 ||
        fail "$venv: has no pip; remove the folder and run again, or install pip into it"
    say "installing rsir_tf${extras:+ with $extras} into ${venv#"$root"/} (the first time: some hundred megabytes, minutes) …"
    if ! log=$("$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable "$root${extras:+[$extras]}" 2>&1); then
        printf '%s\n' "$log" >&2
        fail "installing failed: see above; run again when it is cured"
    fi
    printf '%s %s\n' "$stamp" "$extras" >"$known"
}
