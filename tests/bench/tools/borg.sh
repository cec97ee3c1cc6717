# borg without encryption, with its default compression (lz4). BORG names the command, BORG_COMPRESSION another setting.
export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
G=${BORG:-borg} BC=${BORG_COMPRESSION:-lz4}
t_version() { $G --version; }
t_init() { export BORG_BASE_DIR=$STATE; $G init -e none "$REPO"; }
t_add() { echo "cd $DATA && BORG_BASE_DIR=$STATE $G create -C $BC $REPO::$1 ."; }
t_restore() { echo "mkdir $DEST && cd $DEST && BORG_BASE_DIR=$STATE $G extract $REPO::$1"; }
