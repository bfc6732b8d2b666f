#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the guest image from Debian packages, without root: see docs/GUEST.md.
#
#   build-image.sh --init FILE --svc FILE build    makes it unless it is there
#   build-image.sh --init FILE --svc FILE path     prints where it is, or fails
#
# Happy path: resolve packages with apt, hash all inputs, download, unpack,
# pick the files and modules of the lists, write initrd, root.img (ext4 made by
# debugfs in sorted order, with a fixed clock) and manifest.json into a
# temporary directory, and rename that to its hash.
#
# Failure modes: one line on standard error that begins with "image: " and says
# what to do; nothing half-built is ever under the final name.
set -Eeuo pipefail
trap 'printf "image: build-image.sh failed at line %s\n" "$LINENO" >&2' ERR
export LC_ALL=C
umask 022

here=$(cd "$(dirname "$0")" && pwd)
cache=${ORDEAL_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/ordeal}
images=$cache/images
debs=$cache/debs

# A fixed clock: everything inside is dated to this second.
epoch=1700000000
uuid=6f726465-616c-4000-8000-726f6f740000
lock_wait_s=900

say() {
    printf 'image: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

need_tool() {
    local tool package
    for tool in "$@"; do
        package=${tool#*:}
        tool=${tool%%:*}
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
            die "'$tool' is missing: install the Debian package $package"
    done
}

# Lines of a list without comments.
list_read() {
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$here/$1"
}

recipe_hash() {
    local file
    for file in "$here"/build-image.sh "$here"/packages.list \
        "$here"/files.list "$here"/modules.list "$init" "$svc"; do
        sha256sum <"$file" || die "'$file' is not readable"
    done | sha256sum | cut -d' ' -f1
}

# Prints "NAME VERSION SHA256" of each package's candidate, sorted by name.
packages_resolve() {
    local names kernel records
    names=$(list_read packages.list | grep -v '^linux-image-')
    kernel=$(apt-cache show --no-all-versions linux-image-cloud-amd64 \
        2>/dev/null | sed -n 's/^Depends:.*\(linux-image-[0-9][^ ,]*\).*/\1/p' |
        head -n 1)
    [ -n "$kernel" ] || return 1
    # shellcheck disable=SC2086 # a list of names
    records=$(apt-cache show --no-all-versions "$kernel" $names 2>/dev/null |
        awk '/^Package: / { name = $2 } /^Version: / { version = $2 }
             /^SHA256: / { print name, version, $2 }' | sort -u)
    local name
    for name in $kernel $names; do
        grep -q "^$name " <<<"$records" || {
            say "apt knows no package '$name'"
            return 1
        }
    done
    printf '%s\n' "$records"
}

# Every .deb of $packages in $debs, with the hash that apt promised.
packages_download() {
    local name version sha file wanted=()
    mkdir -p "$debs"
    while read -r name version sha; do
        file=$debs/$sha.deb
        [ -f "$file" ] || wanted+=("$name=$version")
    done <<<"$packages"
    [ ${#wanted[@]} -gt 0 ] || return 0
    say "downloading ${#wanted[@]} packages"
    mkdir "$work/download"
    (cd "$work/download" &&
        apt-get download -qq -o APT::Sandbox::User=root "${wanted[@]}" \
            2>"$work/apt.log" >&2) || {
        tail -n 3 "$work/apt.log" >&2
        die "download failed: the package lists may be old: run 'apt-get" \
            "update' as root"
    }
    for file in "$work"/download/*.deb; do
        sha=$(sha256sum <"$file" | cut -d' ' -f1)
        grep -q " $sha\$" <<<"$packages" ||
            die "'${file##*/}' is not what the package lists promise"
        mv "$file" "$debs/$sha.deb"
    done
}

# Unpacks all packages into one tree whose /bin, /sbin, /lib lead to /usr.
packages_unpack() {
    local name version sha
    mkdir -p "$tree"/usr/{bin,sbin,lib,lib64}
    ln -s usr/bin usr/sbin usr/lib usr/lib64 "$tree"
    while read -r name version sha; do
        sha256sum --status -c - <<<"$sha  $debs/$sha.deb" || {
            rm -f "$debs/$sha.deb"
            die "the cached package of '$name' was damaged: run again"
        }
        touch "$debs/$sha.deb"
        dpkg-deb --fsys-tarfile "$debs/$sha.deb" |
            tar -x -C "$tree" --keep-directory-symlink --no-same-owner \
                --exclude='./usr/share/*' ||
            die "'$name' $version cannot be unpacked"
    done <<<"$packages"
}

# One shared library, found where Debian keeps them, and its own libraries.
root_add_library() {
    local dir=usr/lib/x86_64-linux-gnu
    [ ! -e "$root/$dir/$1" ] || return 0
    [ "$1" != ld-linux-x86-64.so.2 ] || return 0
    [ -e "$tree/$dir/$1" ] ||
        die "library '$1' of '$2' is missing: add its package to packages.list"
    mkdir -p "$root/$dir"
    cp -L "$tree/$dir/$1" "$root/$dir/$1"
    chmod 644 "$root/$dir/$1"
    root_add_libraries_of "$root/$dir/$1"
}

root_add_libraries_of() {
    local library libraries
    # A file that is no program has none.
    libraries=$({ readelf -d "$1" 2>/dev/null || true; } |
        sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    for library in $libraries; do
        root_add_library "$library" "${1##*/}"
    done
}

root_add_files() {
    local entry
    while read -r entry; do
        case $entry in
        /*)
            [ -e "$tree$entry" ] || die "no package has '$entry'"
            mkdir -p "$root$(dirname "$entry")"
            cp -L "$tree$entry" "$root$entry"
            root_add_libraries_of "$root$entry"
            ;;
        *)
            root_add_library "$entry" files.list
            ;;
        esac
    done < <(list_read files.list)
}

root_add_busybox_links() {
    local applet name
    while read -r applet; do
        name=${applet##*/}
        case $applet in
        */sbin/* | sbin/*) applet=usr/sbin/$name ;;
        *) applet=usr/bin/$name ;;
        esac
        if [ "$name" = init ] || [ -e "$root/usr/bin/$name" ] ||
            [ -e "$root/usr/sbin/$name" ]; then
            continue
        fi
        ln -s /usr/bin/busybox "$root/$applet"
    done < <("$root/usr/bin/busybox" --list-full | sort)
}

root_add_etc() {
    mkdir -p "$root/etc"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    echo '/bin/sh' >"$root/etc/shells"
    echo '127.0.0.1 localhost' >"$root/etc/hosts"
    # People get line editing; its shell prefers its own applets to the
    # programs of the same name, unless told otherwise.
    cat >"$root/etc/profile" <<'END'
case $- in *i*) ENV=/etc/ashrc exec /usr/bin/busybox ash ;; esac
END
    cat >"$root/etc/ashrc" <<'END'
PS1='\h:\w\$ '
alias svc=/usr/bin/svc ip=/usr/bin/ip
END
    printf 'ID=ordeal\nNAME=Ordeal\n' >"$root/etc/os-release"
    ln -s /proc/mounts "$root/etc/mtab"
}

# The modules of one kind, dependencies first, as paths below /usr/lib/modules.
modules_of() {
    local name
    while read -r name; do
        modprobe -n -a --show-depends -d "$tree" -S "$kernel" "$name" ||
            die "the kernel has no module '$name'"
    done < <(list_read modules.list | sed -n "s/^$1 //p") |
        sed -n 's|^insmod .*/lib/modules/\([^ ]*\).*|\1|p' | awk '!seen[$0]++'
}

root_add_modules() {
    local modules path
    depmod -b "$tree" "$kernel"
    modules=$(modules_of boot && modules_of root)
    while read -r path; do
        path=usr/lib/modules/$path
        mkdir -p "$root/$(dirname "$path")"
        cp "$tree/$path" "$root/$path"
    done <<<"$modules"
    cp "$tree/usr/lib/modules/$kernel"/modules.{order,builtin*} \
        "$root/usr/lib/modules/$kernel/"
    depmod -b "$root" "$kernel"
    # The guest's modprobe (busybox) reads the text files.
    rm -f "$root/usr/lib/modules/$kernel"/modules.{*.bin,devname,softdep} \
        "$root/usr/lib/modules/$kernel"/modules.{order,builtin*}
}

make_root_tree() {
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64} \
        "$root"/{data,dev,proc,root,run,sys,tmp,usr/lib/ordeal,var}
    ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"
    ln -s /run "$root/var/run"
    ln -s /tmp "$root/var/tmp"
    root_add_files
    # Not busybox: its shell takes its own 'svc' and 'ip' for ours.
    ln -s dash "$root/usr/bin/sh"
    # Where dropbear looks for it.
    ln -s openssh/sftp-server "$root/usr/lib/sftp-server"
    install -m 755 "$init" "$root/usr/sbin/init"
    install -m 755 "$svc" "$root/usr/bin/svc"
    root_add_busybox_links
    root_add_etc
    root_add_modules
}

make_initrd() {
    local dir=$work/initrd modules path
    mkdir -p "$dir"/{dev,proc,sys,root,modules}
    install -m 755 "$init" "$dir/init"
    modules=$(modules_of boot)
    while read -r path; do
        cp "$tree/usr/lib/modules/$path" "$dir/modules/"
        echo "/modules/${path##*/}" >>"$dir/modules/list"
    done <<<"$modules"
    find "$dir" -exec touch -h -d "@$epoch" {} +
    (cd "$dir" && find . | sort |
        cpio -o -H newc -R 0:0 --reproducible --quiet) >"$out/initrd"
}

# Little-endian 32 bit number at an offset of a file.
u32_at() {
    od -A n -t u4 -j "$2" -N 4 "$1" | tr -d ' '
}

# The kernel as an ELF file, which QEMU starts by its PVH entry: unpacking it
# here, once, spares each guest under emulation half a second.  A kernel that is
# packed in another way stays as it is.
make_kernel() {
    local packed=$tree/boot/vmlinuz-$kernel setup offset length
    setup=$(od -A n -t u1 -j 497 -N 1 "$packed" | tr -d ' ')
    offset=$(((setup + 1) * 512 + $(u32_at "$packed" 584)))
    length=$(u32_at "$packed" 588)
    # The last four bytes are the unpacked size; tail minds that head ends first.
    tail -c "+$((offset + 1))" "$packed" 2>/dev/null | head -c "$((length - 4))" \
        >"$work/payload" || true
    if [ "$(u32_at "$work/payload" 0)" = "$((0x184c2102))" ] &&
        lz4 -qdc "$work/payload" >"$out/vmlinuz" &&
        readelf -n "$out/vmlinuz" 2>/dev/null | grep -q Xen; then
        return
    fi
    say "the kernel is not packed with LZ4, it is taken as it is"
    cp "$packed" "$out/vmlinuz"
    chmod 644 "$out/vmlinuz"
}

# debugfs commands that fill the file system, sorted: mke2fs -d would take the
# order of the host's directories.
root_script() {
    local path
    (cd "$root" && find . -mindepth 1 -printf '%y %P\n' | sort -k 2) |
        while read -r type path; do
            case $type in
            d) echo "mkdir \"/$path\"" ;;
            f) echo "write \"$root/$path\" \"/$path\"" ;;
            l) echo "symlink \"/$path\" \"$(readlink "$root/$path")\"" ;;
            *) die "'/$path' is of an unexpected kind" ;;
            esac
        done
}

make_root_image() {
    local image=$out/root.img blocks inodes
    inodes=$(($(find "$root" | wc -l) + 64))
    blocks=$(find "$root" -type f -printf '%s\n' |
        awk '{ n += int(($1 + 4095) / 4096) + 1 } END { print n }')
    blocks=$((blocks + $(find "$root" -type d | wc -l) + inodes / 16 + 256))
    export E2FSPROGS_FAKE_TIME=$epoch
    mke2fs -q -F -t ext4 -b 4096 -I 256 -N "$inodes" -m 0 -L ordeal-root \
        -U "$uuid" -E "hash_seed=$uuid,root_owner=0:0" \
        -O none,extent,filetype,sparse_super,dir_index,large_file \
        "$image" "$blocks" >"$work/mke2fs.log" || die "mke2fs failed"
    root_script >"$work/root.script"
    debugfs -w -f "$work/root.script" "$image" 2>"$work/debugfs.log" >/dev/null
    ! grep -v '^debugfs 1' "$work/debugfs.log" >&2 || die "debugfs failed"
    e2fsck -fn "$image" >"$work/e2fsck.log" 2>&1 || {
        cat "$work/e2fsck.log" >&2
        die "root.img is not a sound file system"
    }
    unset E2FSPROGS_FAKE_TIME
}

make_manifest() {
    local name version sha comma=''
    printf '{\n "hash": "%s",\n "recipe": "%s",\n "kernel": "%s",\n' \
        "$hash" "$recipe" "$kernel"
    printf ' "files": {'
    for name in vmlinuz initrd root.img; do
        sha=$(sha256sum <"$out/$name" | cut -d' ' -f1)
        printf '%s\n  "%s": "%s"' "$comma" "$name" "$sha"
        comma=,
    done
    printf '\n },\n "packages": ['
    comma=''
    while read -r name version sha; do
        printf '%s\n  {"name": "%s", "version": "%s", "sha256": "%s"}' \
            "$comma" "$name" "$version" "$sha"
        comma=,
    done <<<"$packages"
    printf '\n ]\n}\n'
}

# Each change of the recipe leaves an image behind: ten stay, and all of the
# last day.  Packages stay three months after their last use.
prune() {
    local old
    find "$images" -mindepth 1 -maxdepth 1 -type d -mtime +0 \
        -name '????????????????????????????????' -printf '%T@ %p\n' |
        sort -rn | tail -n +11 | cut -d' ' -f2- |
        while read -r old; do
            say "removing an image of long ago: $old"
            rm -rf "$old"
        done
    find "$images/by-recipe" -xtype l -delete
    find "$debs" -name '*.deb' -mtime +90 -delete
}

# The link by which 'path' finds the image of this recipe.
publish() {
    mkdir -p "$images/by-recipe"
    ln -sfn "../$hash" "$work/link"
    mv -T "$work/link" "$images/by-recipe/$recipe"
    touch "$images/$hash"
}

build() {
    local begun=$SECONDS
    need_tool apt-get:apt apt-cache:apt dpkg-deb:dpkg tar:tar cpio:cpio \
        mke2fs:e2fsprogs debugfs:e2fsprogs e2fsck:e2fsprogs depmod:kmod \
        modprobe:kmod readelf:binutils lz4:lz4 flock:util-linux
    PATH=$PATH:/usr/sbin:/sbin
    if ! packages=$(packages_resolve); then
        [ ! -e "$images/by-recipe/$recipe/manifest.json" ] || {
            say "no package lists, the image that is there stays"
            return 0
        }
        die "apt's package lists are missing: run 'apt-get update' as root" \
            "(./bootstrap deps does)"
    fi
    hash=$(printf '%s\n%s\n' "$recipe" "$packages" | sha256sum | cut -c1-32)
    mkdir -p "$images"
    exec 9>"$images/.lock"
    flock -w "$lock_wait_s" 9 || die "another build holds '$images/.lock'"
    # We hold the lock: what others left behind is dead.
    rm -rf "$images"/.build-*
    work=$(mktemp -d "$images/.build-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    if [ -e "$images/$hash/manifest.json" ]; then
        publish
        say "already built: $images/$hash"
        return 0
    fi
    tree=$work/tree root=$work/root out=$work/out
    mkdir "$out"
    packages_download
    say "unpacking $(wc -l <<<"$packages") packages"
    packages_unpack
    kernel=$(ls "$tree/usr/lib/modules")
    make_root_tree
    say "writing kernel, initrd and root"
    make_kernel
    make_initrd
    make_root_image
    make_manifest >"$out/manifest.json"
    sync -f "$out"
    rm -rf "${images:?}/$hash"
    mv -T "$out" "$images/$hash"
    publish
    prune
    say "built in $((SECONDS - begun)) s: $images/$hash"
}

init='' svc=''
while [ $# -gt 1 ]; do
    case $1 in
    --init) init=$2 ;;
    --svc) svc=$2 ;;
    *) die "unknown option '$1'" ;;
    esac
    shift 2
done
if [ ! -r "$init" ] || [ ! -r "$svc" ]; then
    die "--init and --svc must name readable files"
fi
recipe=$(recipe_hash)
case ${1:-} in
build)
    build
    ;;
path)
    [ -e "$images/by-recipe/$recipe/manifest.json" ] ||
        die "not built yet: run 'ordeal image build'"
    # Used: prune() goes by age.
    touch -c "$images/by-recipe/$recipe/." 2>/dev/null || true
    readlink -f "$images/by-recipe/$recipe"
    ;;
*)
    die "expected 'build' or 'path'"
    ;;
esac
