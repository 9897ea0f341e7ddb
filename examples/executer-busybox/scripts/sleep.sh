# test.sleep: as many seconds as the one number of input.json says; ends early when it is asked to.
set -eu
mkdir -p output/artifacts
seconds=$(sed -n 's/.*: *\([0-9][0-9]*\).*/\1/p' input.json)
slept=0
trap 'echo "stopped after $slept s"; echo "[$slept]" > output/output.json; exit 143' TERM
while [ "$slept" -lt "$seconds" ]; do
  # In the background, since a shell hears of a signal only between two commands.
  sleep 1 & wait $!
  slept=$((slept + 1))
  echo "slept $slept of $seconds s"
done
echo "[$slept]" > output/output.json
