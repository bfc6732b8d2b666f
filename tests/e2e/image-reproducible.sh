#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same inputs give the same image, in any directory and environment; builds
# at the same time do not disturb each other; what is built is not built again.
#
# Functions are called by 'check'.
# shellcheck disable=SC2317
# shellcheck source=tests/lib/tap.sh
. "${ORDEAL_SRCDIR:?}/tests/lib/tap.sh"

debs=${ORDEAL_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ordeal}/debs
[ -d "$debs" ] || skip_all 'no packages in the cache (ordeal image build)'

# recipe CACHE VERB
recipe() {
    ORDEAL_CACHE_DIR=$work/$1 "$ORDEAL_SRCDIR/vm-images/build-image.sh" \
        --init "$ORDEAL_BUILDDIR/vm-images/ordeal-init" \
        --svc "$ORDEAL_BUILDDIR/vm-images/ordeal-svc" "$2"
}
cache_make() {
    mkdir "$work/$1" && cp -rs "$debs" "$work/$1/debs"
}
image_is() {
    [ "$(recipe "$1" path)" = "$work/$1/images/$(hash_of one)" ]
}
hash_of() {
    basename "$(recipe "$1" path)"
}
same() {
    cmp "$work/one/images/$(hash_of one)/$1" \
        "$work/other place/images/$(hash_of one)/$1"
}

cache_make one
cache_make 'other place'
(recipe one build) 2>"$work/first.log" &
first=$!
(recipe one build) 2>"$work/second.log" &
second=$!
check 'a build works' wait "$first"
check 'another one at the same time too' wait "$second"
once() {
    cat "$work/first.log" "$work/second.log" >"$work/both.log"
    [ "$(grep -c 'already built' "$work/both.log")" = 1 ] && return 0
    cat "$work/both.log"
    return 1
}
check 'only one of them built' once
check 'the image is found' image_is one

# Images nobody used for days: ten of them may stay.
days=2
while [ $days -lt 14 ]; do
    old="$work/other place/images/000000000000000000000000000000$((10 + days))"
    mkdir -p "$old"
    touch -d "$days days ago" "$old"
    days=$((days + 1))
done

other() {
    umask 077
    TZ=Asia/Tokyo LANG=C.UTF-8 recipe 'other place' build
}
check 'a build elsewhere works' other
old_images() {
    ls "$work/other place/images"
    [ "$(find "$work/other place/images" -name '0000*' | wc -l)" = 10 ]
}
not_there() {
    [ ! -e "$1" ]
}
check 'and leaves ten old images' old_images
check 'which are the newest' not_there "$old"
for file in vmlinuz initrd root.img manifest.json; do
    check "$file has the same bytes" same "$file"
done

begun=$(date +%s%3N)
check_status 'a second build works' 0 recipe one build
took_ms=$(($(date +%s%3N) - begun))
note "it took $took_ms ms"
check 'and builds nothing' grep -q 'already built' "$work/err"
check 'nothing half-built is left' \
    [ -z "$(find "$work/one/images" -name '.build-*')" ]
done_testing
