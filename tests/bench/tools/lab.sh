# lab itself: a registry beside the data, as a user would have it. A fine-tune is added with its base where the binary can.
t_version() { "$LAB" --version; }
t_init() { "$LAB" init; }
t_add() {
  case $1 in
    v-ft-*) if "$LAB" add --help | grep -q -e '--base'; then base='--base v1'; fi ;;
  esac
  echo "$LAB -q add data --name $1 ${base:-}"
  base=''
}
t_restore() { echo "$LAB -q get $1 $DEST"; }
t_store() { echo "$WS/.lab"; }
