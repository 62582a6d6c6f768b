#!/bin/sh
# Memeriksa arsip Rawat tanpa Rawat: checks an archive of Rawat without Rawat.
#   sh verifikasi.sh [--checkpoint FILE]... [--signers FILE] [--officials FILE] [--printed TEXT]... [FOLDER]
# --signers names the archive's keys, --officials those of the officials (allowed signers of ssh-keygen), as you know them.
# TEXT is what the footer of a document on paper says of the register, as 12:3fa9c2d81e07b544.
# FOLDER is a bag (this folder, when none is given) or the top of an archive, which holds register.jsonl.
# Needs POSIX sh, awk, find, sed, sort, split and sha256sum, ssh-keygen, openssl; for signed PDFs grep -a. Reads only.
# Prints SAH and exits with 0, or TIDAK SAH with the first thing that is wrong and 5; 2 is wrong use.
set -u
LC_ALL=C
export LC_ALL
umask 077
zeros=0000000000000000000000000000000000000000000000000000000000000000
tags="BACA-SAYA.txt bag-info.txt bagit.txt manifest-sha256.txt metadata/arsip.json trust/arsip.signers verifikasi.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/verifikasi.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

wrong() { printf 'TIDAK SAH: %s\n' "$*"; exit 5; }
usage() { printf '%s\n' "$*" >&2; exit 2; }
for tool in sha256sum ssh-keygen openssl awk; do
  command -v "$tool" > "$work/found" || usage "needs $tool"
done

# digest FILE: its SHA-256, in $digest.
digest() { digest=$(sha256sum < "$1"); digest=${digest%% *}; }
# ends FILE NAME: its last line has a line end.
ends() {
  last=$(tail -c 1 "$1"; echo x)
  [ "$last" = "
x" ] || wrong "$2: the last line is cut off"
}
# field NAME: the string that NAME has on the one line of standard input.
field() { sed -n "s/.*\"$1\":\"\\([^\"\\\\]*\\)\".*/\\1/p"; }
number() { sed -n "s/.*\"$1\":\\([0-9][0-9]*\\).*/\\1/p"; }

# chain FILE COUNTER NAME: every line follows from the one before; leaves the digests in $work/digests.
chain() {
  [ -s "$1" ] || wrong "$3: is empty"
  ends "$1" "$3"
  rm -rf "$work/lines" && mkdir "$work/lines"
  split -l 1 -a 5 "$1" "$work/lines/"
  (cd "$work/lines" && find . -type f | sort | xargs sha256sum) | cut -c-64 > "$work/digests"
  { echo "$zeros"; sed '$d' "$work/digests"; } > "$work/expected"
  sed 's/.*"prev":"\([0-9a-f]*\)".*/\1/' "$1" > "$work/prev"
  bad=$(paste "$work/expected" "$work/prev" | awk '$1 != $2 { print NR; exit }')
  [ -z "$bad" ] || wrong "$3:$bad: does not follow from the line before: one of them was changed"
  bad=$(sed "s/.*\"$2\":\\([0-9]*\\)[,}].*/\\1/" "$1" | awk '$1 != NR { print NR; exit }')
  [ -z "$bad" ] || wrong "$3:$bad: is not record $bad"
}

# signers FILE NAME: holds keys of an archive and nothing else, each once.
signers() {
  [ -s "$1" ] || wrong "$2: holds no key"
  ends "$1" "$2"
  awk '!/^arsip namespaces="rawat-archive" ssh-ed25519 [A-Za-z0-9+\/]+=?=?$/ || seen[$0]++ { exit 1 }' "$1" ||
    wrong "$2: is not a list of keys of an archive, each once"
}

# signed FILE SIGNATURE SIGNERS NAME: the archive signed it, and the signature is written in its one form.
signed() {
  ssh-keygen -Y verify -f "$3" -I arsip -n rawat-archive -s "$2" < "$1" > "$work/said" 2>&1 ||
    wrong "$4: is not signed with a key of the archive"
  {
    echo '-----BEGIN SSH SIGNATURE-----'
    sed '1d;$d' "$2" | tr -d '\n' | openssl base64 -d -A | openssl base64 -A | fold -w 70
    echo
    echo '-----END SSH SIGNATURE-----'
  } > "$work/form" 2> "$work/said"
  # ssh-keygen takes version 0 for version 1: the beginning is compared here.
  sed -n 2p "$2" | grep -q '^U1NIU0lHAAAAAQ' && cmp -s "$2" "$work/form" ||
    wrong "$4: the signature is not written as it was made"
}

# checkpoint FILE SIGNERS NAME: signed; leaves it in $work/point.
checkpoint() {
  head -n 1 "$1" > "$work/point"
  sed 1d "$1" > "$work/point.sig"
  grep -qxE '\{"archive":\{"head":"[0-9a-f]{64}","records":[0-9]+\},"at":"[0-9TZ:.-]*","format":1,"kind":"rawat-checkpoint","run":(null|\{"head":"[0-9a-f]{64}","records":[0-9]+,"run":"[^"\\]+"\}),"signers":"[0-9a-f]{64}"\}' "$work/point" ||
    wrong "$3: is not a checkpoint"
  signed "$work/point" "$work/point.sig" "$2" "$3"
}

# real ROOT PATH: every part of PATH below ROOT is a folder itself, and none a link to one.
real() {
  part=$1
  rest=$2/
  while [ -n "$rest" ]; do
    part=$part/${rest%%/*}
    rest=${rest#*/}
    [ -e "$part" ] || [ -h "$part" ] || wrong "${part#"$1/"}: is missing"
    [ -d "$part" ] && [ ! -h "$part" ] || wrong "${part#"$1/"}: is no folder, or a link to one"
  done
}

# prefix RECORDS HEAD NAME WHOSE: the chain in $work/digests was as far as that, by that very record.
prefix() {
  have=$(awk 'END { print NR }' "$work/digests")
  [ "$have" -ge "$1" ] ||
    wrong "$3: has $have records, and $4 knows $1: records were cut off, or all was put back to an earlier day"
  [ "$1" -eq 0 ] || [ "$(sed -n "$1p" "$work/digests")" = "$2" ] ||
    wrong "$3:$1: is another record than the one that $4 knows: history was rewritten"
}

# names: only ordinary files with one name each, and names that are the same everywhere.
names() {
  find . ! -name . ! -type f ! -type d -print > "$work/odd"
  find . -type f -links +1 -print >> "$work/odd"
  [ ! -s "$work/odd" ] || wrong "$(head -n 1 "$work/odd"): is not an ordinary file with one name"
  find . ! -name . -print | sed 's/^\.\///' > "$work/all"
  ! grep -q '[[:cntrl:]\\%]' "$work/all" || wrong "a name has characters that cannot be seen or written as they are"
  find . -print | grep -qv '^\.' && wrong "a name has a line break"
  bad=$(sort -f "$work/all" | uniq -di | head -n 1)
  [ -z "$bad" ] || wrong "$bad: differs from another name only in case"
}

# manifest FILE: digest, two spaces, path; sorted, each once; every file as it says.
manifest() {
  ends "$1" "$1"
  bad=$(grep -nvE '^[0-9a-f]{64}  [^ ].*$' "$1" | head -n 1 | cut -d: -f1)
  [ -z "$bad" ] || wrong "$1:$bad: is not '<SHA-256>  <path>'"
  cut -c67- "$1" | sort -u | cmp -s - "$work/listed" || wrong "$1: lists a path twice or out of order"
  sha256sum --check --strict "$1" > "$work/said" 2> "$work/errors" ||
    wrong "$(grep -v ': OK$' "$work/said" | head -n 1 | sed 's/: FAILED.*//'): is not the file that $1 lists"
}

tag_files() {
  own_files | while IFS= read -r name; do [ -f "$name" ] || wrong "$name: is missing"; done || exit 5
  cut -c67- tagmanifest-sha256.txt > "$work/listed"
  [ "$(tr '\n' ' ' < "$work/listed")" = "$tags " ] || wrong "tagmanifest-sha256.txt: does not list $tags and nothing else"
  manifest tagmanifest-sha256.txt
  printf 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n' | cmp -s - bagit.txt ||
    wrong "bagit.txt: is not the declaration of a BagIt 1.0 bag in UTF-8"
}

own_files() { for name in $tags tagmanifest-sha256.txt tagmanifest-sha256.txt.sig; do echo "$name"; done; }

# nothing_but SAID SAID: the files in $work/wanted are there, and no others, and no folders but theirs.
nothing_but() {
  find . -type f | sed 's/^\.\///' | sort > "$work/there"
  bad=$(comm -13 "$work/wanted" "$work/there" | head -n 1)
  [ -z "$bad" ] || wrong "$bad: $1"
  bad=$(comm -23 "$work/wanted" "$work/there" | head -n 1)
  [ -z "$bad" ] || wrong "$bad: is missing"
  awk '{ path = $0; while (sub("/[^/]*$", "", path)) print path }' "$work/wanted" | sort -u > "$work/folders"
  bad=$(find . ! -name . -type d | sed 's/^\.\///' | sort | comm -13 "$work/folders" - | head -n 1)
  [ -z "$bad" ] || wrong "$bad: $2"
}

# remains: of an archive that was destroyed there is all but its payload, and nothing else.
remains() {
  [ ! -e data ] || wrong "data: is still there, and the register says it was removed"
  own_files | sort > "$work/wanted"
  nothing_but "is no part of an archive that was destroyed" "is no part of an archive that was destroyed"
}

payload() {
  [ -d data ] || wrong "data: is missing"
  cut -c67- manifest-sha256.txt > "$work/listed"
  bad=$(grep -v '^data/' "$work/listed" | head -n 1)
  [ -z "$bad" ] || wrong "manifest-sha256.txt: lists $bad, which is not in data/"
  { cat "$work/listed"; own_files; } | sort > "$work/wanted"
  nothing_but "is not listed in manifest-sha256.txt" "is a folder without a listed file"
  manifest manifest-sha256.txt
}

# info LABEL: its value in bag-info.txt.
info() { sed -n "s/^$1: //p" bag-info.txt; }
fits() { [ "$2" = "$(info "$1")" ] || wrong "bag-info.txt: $1 does not fit the run in data/"; }

# record: the journal is a chain; what it names is there and as it says, and nothing else is.
record() {
  chain data/journal.jsonl seq data/journal.jsonl
  cp "$work/digests" "$work/journal"
  fits Journal-Records "$(awk 'END { print NR }' "$work/journal")"
  fits Journal-Head "$(tail -n 1 "$work/journal")"
  fits Run-Outcome "$(tail -n 1 data/journal.jsonl | field outcome)"
  fits Payload-Oxum "$(find data -type f -exec wc -c {} + |
    awk '$2 != "total" { sum += $1; count++ } END { printf "%.0f.%d", sum, count }')"
  digest data/sop.yml
  sop=$digest
  fits SOP-SHA256 "$sop"
  run=$(info External-Identifier)
  head -n 1 data/journal.jsonl > "$work/first"
  grep -q '"event":"run_started"' "$work/first" || wrong "data/journal.jsonl:1: cannot be the first record"
  grep -qF "\"run\":\"$run\"" "$work/first" || wrong "bag-info.txt: External-Identifier does not fit the run in data/"
  grep -qF "\"sha256\":\"$sop\"" "$work/first" || wrong "data/sop.yml: is not the file that the journal names"
  digest data/officials.json
  grep -qF "\"officials_sha256\":\"$digest\"" "$work/first" ||
    wrong "data/officials.json: is not the file that the journal names"
  tail -n 1 data/journal.jsonl | grep -q '"event":"run_finished"' || wrong "data/journal.jsonl: is of a run that is not closed"
  # A file is named by {"path":...,"sha256":...}; a plan by the same two fields of its record.
  awk '{
    rest = $0
    while (match(rest, /"path":"[^"\\]*","sha256":"[0-9a-f]*"/)) {
      split(substr(rest, RSTART, RLENGTH), part, "\"")
      print part[8] "  data/" part[4]
      rest = substr(rest, RSTART + RLENGTH)
    }
    if (index($0, "\"event\":\"plan_made\"") && match($0, /"path":"[^"\\]*"/)) {
      path = substr($0, RSTART + 8, RLENGTH - 9)
      if (match($0, /"sha256":"[0-9a-f]*"/)) print substr($0, RSTART + 10, 64) "  data/" path
    }
  }' data/journal.jsonl > "$work/named"
  sha256sum data/allowed_signers data/journal.jsonl data/officials.json data/sop.yml >> "$work/named"
  # What else the run was started with is named by the first record, as "office_sha256" or "trends_sha256".
  for name in office trends; do
    [ -f "data/$name.json" ] || continue
    digest "data/$name.json"
    grep -qF "\"${name}_sha256\":\"$digest\"" "$work/first" ||
      wrong "data/$name.json: is not the file that the journal names"
    echo "$digest  data/$name.json" >> "$work/named"
  done
  bad=$(sort "$work/named" | uniq -d | head -n 1 | cut -c67-)
  [ -z "$bad" ] || wrong "$bad: is named twice by the journal"
  sort manifest-sha256.txt > "$work/there"
  bad=$(sort "$work/named" | comm -3 - "$work/there" | tr -d '\t' | head -n 1 | cut -c67-)
  [ -z "$bad" ] || wrong "$bad: is not the file that the journal names, or is named by nothing in it"
  keys
}

# keys: allowed_signers holds the keys of officials.json, in that order.
keys() {
  awk '{
    rest = $0
    while (match(rest, /"key":"[^"]*"/)) { print substr(rest, RSTART + 7, RLENGTH - 8); rest = substr(rest, RSTART + RLENGTH) }
  }' data/officials.json > "$work/keys"
  cut -d ' ' -f 3- data/allowed_signers | cmp -s - "$work/keys" ||
    wrong "data/allowed_signers: does not hold the keys of officials.json"
  bad=$(grep -vcE '^[a-z0-9-]+ namespaces="rawat-decision" ' data/allowed_signers)
  [ "$bad" = 0 ] || wrong "data/allowed_signers: does not hold the keys of officials.json"
}

# known SIGNER NAMESPACE STATEMENT SIGNATURE NAME: it is by a key that --officials knows, where that was given.
known() {
  [ -z "$officials" ] ||
    ssh-keygen -Y verify -f "$officials" -I "$1" -n "$2" -s "$4" < "$3" > "$work/said" 2>&1 ||
    wrong "$5: is not by a key that is known of $1"
}

# statements: each is of this run and this SOP, and signed by the official whom it names as its signer.
statements() {
  for statement in data/decisions/*.json; do
    [ -f "$statement" ] || continue
    signer=$(field signer < "$statement")
    grep -qF "\"run\":\"$run\"" "$statement" || wrong "$statement: is of another run"
    grep -qF "\"sop\":\"$sop\"" "$statement" || wrong "$statement: is about another SOP"
    good=
    for file in data/allowed_signers data/rosters/*.signers; do
      [ -z "$good" ] && [ -f "$file" ] && ssh-keygen -Y verify -f "$file" -I "$signer" -n rawat-decision \
        -s "$statement.sig" < "$statement" > "$work/said" 2>&1 && good=yes
    done
    [ -n "$good" ] || wrong "$statement.sig: is not the signature of $signer on $statement"
    known "$signer" rawat-decision "$statement" "$statement.sig" "$statement.sig"
  done
}

# documents: in each signed PDF every signature fits what it covers, by a certificate of the office's authorities;
# the last one covers the whole file. What was added between them, and whom they name, 'rawat verify' judges.
documents() {
  for pdf in data/documents/*-signed*.pdf; do
    [ -f "$pdf" ] || continue
    printf '%b' "$(sed -n 's/^{"authorities":"\([^"]*\)".*/\1/p' data/office.json)" > "$work/authorities.pem"
    grep -a -o '/ByteRange *\[ *[0-9]* *[0-9]* *[0-9]* *[0-9]* *\]' "$pdf" | tr -c '0-9\n' ' ' > "$work/ranges"
    [ -s "$work/ranges" ] || wrong "$pdf: holds no signature"
    while read -r start length after rest; do
      [ "$start" -eq 0 ] && [ "$after" -gt "$length" ] || wrong "$pdf: a signature does not begin with the file"
      { head -c "$length" "$pdf"; tail -c "+$((after + 1))" "$pdf" | head -c "$rest"; } > "$work/covered"
      tail -c "+$((length + 2))" "$pdf" | head -c "$((after - length - 2))" | tr -d '\n' | fold -w 2 |
        awk 'BEGIN { digits = "0123456789abcdef" }
          { n = (index(digits, tolower(substr($0, 1, 1))) - 1) * 16 + index(digits, tolower(substr($0, 2, 1))) - 1
            printf "\\0%03o", n }' > "$work/octal"
      printf '%b' "$(cat "$work/octal")" > "$work/cms"
      openssl cms -verify -binary -inform DER -in "$work/cms" -content "$work/covered" -out "$work/said" \
        -CAfile "$work/authorities.pem" -purpose any -no_check_time 2> "$work/errors" ||
        wrong "$pdf: a signature does not fit what it covers, or is by nobody whom the office's authorities know"
      whole=$((after + rest))
    done < "$work/ranges"
    [ "$whole" -eq "$(wc -c < "$pdf")" ] || wrong "$pdf: its last signature covers only a part of the file"
  done
}

# records FILE: each is of a kind that a register has, in its one form, and fits those before it.
records() {
  sed 's/TEXT/"[^"\\\\]*"/g; s/HASH/"[0-9a-f]{64}"/g; s/NUMBER/[1-9][0-9]*/g; s/TIME/"[0-9TZ:.-]+"/g' > "$work/kinds" << 'END'
\{"classification":TEXT,"event":"sealed","journal_head":HASH,"no":NUMBER,"path":TEXT,"prev":HASH,"run":TEXT,"sealed_at":TIME,"tagmanifest_sha256":HASH\}
\{"at":TIME,"event":"retention_decided","fate":"(inaktif|musnah|serah|simpan)","files":\[(,?\{"path":TEXT,"sha256":HASH\})+\],"no":NUMBER,"prev":HASH,"runs":\[(,?\{"run":TEXT,"tagmanifest_sha256":HASH\})+\]\}
\{"at":TIME,"decision":NUMBER,"event":"removed","no":NUMBER,"prev":HASH,"run":TEXT\}
END
  bad=$(grep -nvxEf "$work/kinds" "$1" | head -n 1 | cut -d: -f1)
  [ -z "$bad" ] || wrong "register.jsonl:$bad: is no record of a register"
  bad=$(awk '
    function value(name) {
      match($0, "\"" name "\":\"[^\"]*\"")
      return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
    }
    function wrong(said) { print NR ": " said; exit }
    /"event":"sealed"/ {
      run = value("run"); path = value("path"); folder = value("classification")
      if (path != substr(run, 1, 4) (folder == "" ? "" : "/" folder) "/" run || ("/" path "/") ~ /\/\.?\.?\//)
        wrong("has a path that is not the one of its run")
      if (run in sealed) wrong("names a run that was named before")
      sealed[run] = value("tagmanifest_sha256")
    }
    /"event":"retention_decided"/ {
      split("", named)
      rest = substr($0, index($0, "\"runs\":["))
      while (match(rest, /"run":"[^"]*","tagmanifest_sha256":"[0-9a-f]*"/)) {
        split(substr(rest, RSTART, RLENGTH), part, "\"")
        if (!(part[4] in sealed) || sealed[part[4]] != part[8] || part[4] in gone)
          wrong("decides on an archive that is not there")
        named[part[4]]
        rest = substr(rest, RSTART + RLENGTH)
      }
      if (value("fate") == "musnah") for (run in named) gone[run] = NR
    }
    /"event":"removed"/ {
      run = value("run")
      match($0, /"decision":[0-9]*/)
      if (!(run in gone) || gone[run] != substr($0, RSTART + 11, RLENGTH - 11) || run in removed)
        wrong("removes what nobody decided to remove")
      removed[run]
    }' "$1")
  [ -z "$bad" ] || wrong "register.jsonl:$bad"
}

# decisions ROOT: what was decided about whole archives is on papers that the register names, signed by two officials.
decisions() {
  grep -n '"event":"retention_decided"' "$1/register.jsonl" > "$work/decisions"
  while IFS= read -r record; do
    number=${record%%:*}
    printf '%s\n' "${record#*:}" > "$work/record"
    papers=retention/$number
    real "$1" "$papers"
    awk '{ rest = $0
      while (match(rest, /"path":"[^"]*","sha256":"[0-9a-f]*"/)) {
        split(substr(rest, RSTART, RLENGTH), part, "\"")
        print part[8] "  " part[4]
        rest = substr(rest, RSTART + RLENGTH)
      }
    }' "$work/record" > "$work/decided"
    cut -c67- "$work/decided" > "$work/papers"
    bad=$(grep -vxE "$papers/[^/]+" "$work/papers" | head -n 1)
    [ -z "$bad" ] || wrong "register.jsonl:$number: names $bad, which is not in $papers/"
    for name in decides.sig signers statement.json witness.sig; do
      grep -qxF "$papers/$name" "$work/papers" || wrong "$papers/$name: is missing"
    done
    while IFS= read -r name; do
      [ -f "$1/$name" ] && [ ! -h "$1/$name" ] || wrong "$name: is missing, or is no ordinary file"
    done < "$work/papers"
    (cd "$1" && sha256sum --check --strict "$work/decided") > "$work/said" 2> "$work/errors" ||
      wrong "$(grep -v ': OK$' "$work/said" | head -n 1 | sed 's/: FAILED.*//'): is not the file that the register names"
    statement=$1/$papers/statement.json
    for said in "\"fate\":\"$(field fate < "$work/record")\"" "\"decided\":\"$(field at < "$work/record")\"" \
      "\"head\":\"$(field prev < "$work/record")\"" "$(sed 's/.*\("runs":\[.*\]\)}$/\1/' "$work/record")"; do
      grep -qF "$said" "$statement" || wrong "$papers/statement.json: is not what register.jsonl:$number says"
    done
    [ "$(field decides < "$statement")" != "$(field witness < "$statement")" ] ||
      wrong "$papers/statement.json: is not what register.jsonl:$number says"
    for role in decides witness; do
      signer=$(field "$role" < "$statement")
      ssh-keygen -Y verify -f "$1/$papers/signers" -I "$signer" -n rawat-retention \
        -s "$1/$papers/$role.sig" < "$statement" > "$work/said" 2>&1 ||
        wrong "$papers/$role.sig: is not a signature of who is named in the statement"
      known "$signer" rawat-retention "$statement" "$1/$papers/$role.sig" "$papers/$role.sig"
    done
  done < "$work/decisions"
}

# register ROOT: its chain, its signed head and its decisions; leaves its digests in $work/register.
register() {
  for name in register.jsonl register.head arsip.signers; do
    [ -f "$1/$name" ] && [ ! -h "$1/$name" ] || wrong "$name: is missing"
  done
  signers "$1/arsip.signers" arsip.signers
  if [ -n "$given" ]; then
    grep -vxFf "$given" "$1/arsip.signers" > "$work/strange" && wrong "arsip.signers: holds a key that is not in $given"
  fi
  chain "$1/register.jsonl" no register.jsonl
  records "$1/register.jsonl"
  cp "$work/digests" "$work/register"
  checkpoint "$1/register.head" "$1/arsip.signers" register.head
  grep -q '"run":null' "$work/point" || wrong "register.head: is not about register.jsonl and arsip.signers"
  digest "$1/arsip.signers"
  [ "$(field signers < "$work/point")" = "$digest" ] ||
    wrong "register.head: is not about register.jsonl and arsip.signers"
  records=$(sed 's/.*"archive":{"head":"[0-9a-f]*","records":\([0-9]*\)}.*/\1/' "$work/point")
  prefix "$records" "$(sed 's/^{"archive":{"head":"\([0-9a-f]*\)".*/\1/' "$work/point")" register.jsonl register.head
  [ "$have" -eq "$records" ] || wrong "register.jsonl:$((records + 1)): is not covered by register.head"
  [ "$(field at < "$work/point")" = "$(tail -n 1 "$1/register.jsonl" | sed -n 's/.*"\(sealed_\)*at":"\([^"]*\)".*/\2/p')" ] ||
    wrong "register.head: tells another time than the record it is about"
  decisions "$1"
}

# registered ROOT PLACE: the register names this very bag, at this place.
registered() {
  grep -F "\"path\":\"$2\"" "$1/register.jsonl" | grep -F '"event":"sealed"' > "$work/entry"
  [ -s "$work/entry" ] || wrong "register.jsonl: does not name $2"
  digest tagmanifest-sha256.txt
  [ "$(field tagmanifest_sha256 < "$work/entry")" = "$digest" ] ||
    wrong "tagmanifest-sha256.txt: is not the one that the register names"
  [ "$(field run < "$work/entry")" = "${2##*/}" ] || wrong "register.jsonl: has a path that is not the one of its run"
}

# footers ENTRY: before the run was sealed, as record ENTRY, the register had come as far as its documents print.
footers() {
  sed -n 's/.*"archive":{"head":"\([0-9a-f]*\)","records":\([0-9]*\)}.*"event":"document_written".*/\2 \1/p' \
    data/journal.jsonl > "$work/footers"
  sed "$1,\$d" "$work/register" > "$work/digests"
  while read -r records head; do prefix "$records" "$head" register.jsonl "a document of $run"; done < "$work/footers"
}

# bag FOLDER ROOT: checks one bag; ROOT is "" where no register stands above it.
bag() {
  cd "$1" || usage "$1 cannot be read"
  names
  place=$1
  [ -z "$2" ] || place=${1#"$2"/}
  tag_files
  gone=
  if [ -n "$2" ]; then
    registered "$2" "$place"
    ! grep '"event":"removed"' "$2/register.jsonl" | grep -qF "\"run\":\"${place##*/}\"" || gone=yes
  fi
  if [ -n "$gone" ]; then
    remains
  else
    payload
    record
    statements
    documents
    if [ -n "$2" ]; then
      [ "$(field journal_head < "$work/entry")" = "$(tail -n 1 "$work/journal")" ] &&
        [ "$(field sealed_at < "$work/entry")" = "$(tail -n 1 data/journal.jsonl | sed 's/^[^}]*"at":"\([^"]*\)".*/\1/')" ] ||
        wrong "register.jsonl: does not fit the journal of this archive"
      footers "$(number no < "$work/entry")"
    fi
  fi
  signers trust/arsip.signers trust/arsip.signers
  known=$given
  [ -z "$2" ] || known=$2/arsip.signers
  if [ -n "$known" ]; then
    grep -vxFf "$known" trust/arsip.signers > "$work/strange" && wrong "trust/arsip.signers: holds a key that is not the archive's"
  fi
  signed tagmanifest-sha256.txt tagmanifest-sha256.txt.sig trust/arsip.signers tagmanifest-sha256.txt.sig
}

# strangers ROOT: nothing stands in the archive that the register does not name.
strangers() {
  grep '"event":"sealed"' "$1/register.jsonl" | field path > "$work/bags"
  { echo register.jsonl; echo register.head; echo arsip.signers
    awk '/"event":"retention_decided"/ { rest = $0
      while (match(rest, /"path":"[^"\\]*","sha256"/)) { split(substr(rest, RSTART, RLENGTH), part, "\""); print part[4]; rest = substr(rest, RSTART + RLENGTH) }
    }' "$1/register.jsonl"; } > "$work/others"
  (cd "$1" && find . ! -name . -print | sed 's/^\.\///') | awk -v bags="$work/bags" -v others="$work/others" '
    BEGIN {
      while ((getline line < bags) > 0) { known[line]; inside[++count] = line "/"; up(line) }
      while ((getline line < others) > 0) { known[line]; up(line) }
    }
    function up(path) { while (sub("/[^/]*$", "", path)) known[path] }
    { for (n = 1; n <= count; n++) if (index($0, inside[n]) == 1) next
      if (!($0 in known)) { print; exit } }' > "$work/stranger"
  [ ! -s "$work/stranger" ] || wrong "$(cat "$work/stranger"): is named by nothing in the register"
}

# paper ROOT: holds the register against what footers on paper say of it, of which the digest is cut short.
paper() {
  while IFS= read -r text; do
    [ -n "$1" ] || usage "without its register, nothing can be held against what a footer prints"
    cp "$work/register" "$work/digests"
    head=$(sed -n "${text%%:*}p" "$work/register")
    case $head in "${text#*:}"*) ;; *) head=${text#*:} ;; esac
    prefix "${text%%:*}" "$head" register.jsonl "the footer that says $text"
  done < "$work/printed"
}

# against ROOT: holds the register, and the run last looked at, against every checkpoint.
against() {
  while IFS= read -r file; do
    keys=$given
    [ -n "$keys" ] || [ ! -f "${file%/*}/arsip.signers" ] || keys=${file%/*}/arsip.signers
    [ -n "$keys" ] || [ -z "$1" ] || keys=$1/arsip.signers
    [ -n "$keys" ] || usage "$file: its signature cannot be checked without --signers FILE"
    checkpoint "$file" "$keys" "${file##*/}"
    about=$(sed -n 's/.*"run":{.*"run":"\([^"]*\)"}.*/\1/p' "$work/point")
    if [ -n "$1" ]; then
      cp "$work/register" "$work/digests"
      prefix "$(sed 's/.*"archive":{"head":"[0-9a-f]*","records":\([0-9]*\)}.*/\1/' "$work/point")" \
        "$(sed 's/^{"archive":{"head":"\([0-9a-f]*\)".*/\1/' "$work/point")" register.jsonl "${file##*/}"
      lines=$(awk 'END { print NR }' "$1/arsip.signers")
      count=1
      until [ "$count" -gt "$lines" ] ||
        [ "$(head -n "$count" "$1/arsip.signers" | sha256sum | cut -c-64)" = "$(field signers < "$work/point")" ]; do
        count=$((count + 1))
      done
      [ "$count" -le "$lines" ] || wrong "arsip.signers: does not begin with the keys that ${file##*/} knows"
    fi
    if [ -n "$about" ] && [ -n "$1" ] &&
      ! grep '"event":"sealed"' "$1/register.jsonl" | grep -qF "\"run\":\"$about\""; then
      echo "$(number records < "$work/point") $about" >> "$work/open"
    elif [ -n "$about" ] && [ -f "$work/journal.$about" ]; then
      cp "$work/journal.$about" "$work/digests"
      prefix "$(sed 's/.*"run":{"head":"[0-9a-f]*","records":\([0-9]*\),.*/\1/' "$work/point")" \
        "$(sed 's/.*"run":{"head":"\([0-9a-f]*\)".*/\1/' "$work/point")" data/journal.jsonl "${file##*/}"
    elif [ -z "$1" ]; then
      usage "$file says nothing about what is to be checked"
    fi
  done < "$work/points"
}

# unsealed: names the runs of $work/open, which checkpoints know and the register does not.
unsealed() {
  sort -rn "$work/open" | tr -d '\000-\011\013-\037\177' | awk '{ run = $0; sub(/^[0-9]* /, "", run) } !seen[run]++ {
    print "PERHATIAN: titik periksa mengenal " $1 " catatan pelaksanaan " run ", yang tidak ada di register:"
    print "  pelaksanaan itu belum selesai dan foldernya (runs/) harus diperiksa tersendiri, atau telah hilang."
  }'
}

absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
given=
officials=
folder=
: > "$work/points"
: > "$work/open"
: > "$work/printed"
while [ $# -gt 0 ]; do
  case $1 in
    --checkpoint) [ $# -gt 1 ] && [ -f "$2" ] || usage "--checkpoint needs a file"; absolute "$2" >> "$work/points"; shift 2 ;;
    --signers) [ $# -gt 1 ] && [ -f "$2" ] || usage "--signers needs a file"; given=$(absolute "$2"); shift 2 ;;
    --officials) [ $# -gt 1 ] && [ -f "$2" ] || usage "--officials needs a file"; officials=$(absolute "$2"); shift 2 ;;
    --printed)
      [ $# -gt 1 ] && printf '%s' "$2" | tr -d . | grep -xE '[1-9][0-9]{0,8}:[0-9a-f]{16,64}' >> "$work/printed" ||
        usage "--printed needs what a footer says of the register, as 12:3fa9c2d81e07b544"
      shift 2 ;;
    -*) usage "sh verifikasi.sh [--checkpoint FILE]... [--signers FILE] [--officials FILE] [--printed TEXT]... [FOLDER]" ;;
    *) folder=$1; shift ;;
  esac
done
# Parts of the path count by their names, as given: a link above the archive is the caller's choice.
folder=$(CDPATH='' cd -P . && CDPATH='' cd -- "${folder:-.}" && pwd) || usage "the folder cannot be read"

# there FILE: something has this name, be it a link to nothing.
there() { [ -e "$1" ] || [ -h "$1" ]; }
if there "$folder/register.jsonl"; then
  register "$folder"
  strangers "$folder"
  checked=0
  while IFS= read -r place; do
    real "$folder" "$place"
    # In a process of its own: a bag changes into its folder.
    said=$( (bag "$folder/$place" "$folder"; [ -n "$gone" ] || cp "$work/journal" "$work/journal.${place##*/}") ) || wrong "$place/${said#TIDAK SAH: }"
    checked=$((checked + 1))
  done < "$work/bags"
  against "$folder"
  paper "$folder"
  printf 'SAH: %s arsip, register dengan %s catatan\n' "$checked" "$(awk 'END { print NR }' "$work/register")"
  unsealed
  exit 0
fi

# Year and run; or year, classification and run.
year=${folder%/*}
root=${year%/*}
there "$root/register.jsonl" || root=${root%/*}
there "$root/register.jsonl" || root=
[ -z "$root" ] || register "$root"
above=${root:-$year}
real "$above" "${folder#"$above/"}"
bag "$folder" "$root"
[ -n "$gone" ] || cp "$work/journal" "$work/journal.$run"
against "$root"
paper "$root"
if [ -n "$gone" ]; then
  echo "SAH: isinya dimusnahkan dengan keputusan yang tercatat di register; daftar isinya utuh"
elif [ -n "$root" ]; then
  echo "SAH: $run, tercatat di register"
else
  echo "SAH: $run, diperiksa terhadap dirinya sendiri saja: tidak ada register di atas folder ini"
fi
unsealed
