# The newest checkpoint is taken, by its time.
row=45 variable="modification time" layer=time named="time of"
prepare() { echo 1 > first.ckpt; echo 2 > second.ckpt; }
command="sh -c 'cat \$(ls -t *.ckpt | head -n 1) > chosen.txt'"
a() { touch -d 2020-01-01 first.ckpt; touch -d 2021-01-01 second.ckpt; }
b() { touch -d 2020-01-01 second.ckpt; touch -d 2021-01-01 first.ckpt; }
