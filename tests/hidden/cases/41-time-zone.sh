# Events are counted by day, and days begin elsewhere.
row=41 variable="time zone" layer=environment named=TZ
prepare() {
    cat > days.py <<'P'
import collections, time
events = range(0, 400000, 9000)
days = collections.Counter(time.strftime("%Y-%m-%d", time.localtime(t)) for t in events)
print(sorted(days.items()), file=open("days.txt", "w"))
P
}
command="python3 days.py"
in_a() { TZ=UTC0 "$@"; }
in_b() { TZ=XYZ-9 "$@"; }
