# Stops what a killed parent has left behind. Reads "+pid" and "-pid" lines; the end of the input means that the
# parent is gone: the processes still listed are then ended, the youngest first, politely and after 10 s by force.
pids=
while read -r line; do
  pid=${line#?}
  case $line in
    +*) pids="$pid $pids" ;;
    -*) rest=
        for p in $pids; do [ "$p" = "$pid" ] || rest="$rest $p"; done
        pids=$rest ;;
  esac
done
for pid in $pids; do
  kill -CONT "$pid" 2>/dev/null
  kill -TERM "$pid" 2>/dev/null || continue
  tries=0
  while kill -0 "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || { kill -KILL "$pid" 2>/dev/null; break; }
    sleep 0.1
  done
done
