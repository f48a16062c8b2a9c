# Folded stacks -> a flame graph (SVG). Width is CPU time; kernel frames are blue, ours green, libraries orange.
function escape(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
function colour(symbol) {
  if (symbol ~ /^sluice::/) return "#8fd18f"
  if (symbol ~ /(_sys|^sys|tcp|skb|sock|^io_|irq|^ip_|kmem|^__|^do_|entry_|net_|task|sched|copy_|^ep_|queue|rcu|hrtimer|loopback|schedule)/) return "#9fbfe8"
  return "#f0b878"
}
function draw(key, x, level,   parts, symbol, width, y, n, i, child, list) {
  width = total[key] * scale
  if (width < 0.3) return
  symbol = label[key]
  y = (deepest - level) * 17 + 34
  printf "<g><title>%s: %d samples, %.1f %%</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"16\" rx=\"2\" fill=\"%s\"/>", escape(symbol), total[key], 100 * total[key] / all, x, y, width, colour(symbol)
  if (width > 40) printf "<text x=\"%.1f\" y=\"%d\">%s</text>", x + 3, y + 12, escape(substr(symbol, 1, int(width / 6.6)))
  print "</g>"
  n = split(children[key], list, SUBSEP)
  for (i = 1; i <= n; i++) {
    child = list[i]
    if (child == "") continue
    draw(child, x, level + 1)
    x += total[child] * scale
  }
}
{
  samples = $NF
  line = $0
  sub(/ [0-9]+$/, "", line)
  n = split(line, frames, ";")
  if (n > deepest) deepest = n
  key = "all"
  total[key] += samples
  for (i = 1; i <= n; i++) {
    parent = key
    key = key "\t" frames[i]
    if (!(key in total)) { children[parent] = children[parent] SUBSEP key; label[key] = frames[i] }
    total[key] += samples
  }
}
END {
  all = total["all"]; label["all"] = "all"; scale = 1180 / all
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"%d\" font-family=\"monospace\" font-size=\"11\">\n", (deepest + 1) * 17 + 60
  print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"10\" y=\"20\" font-size=\"14\">Sluice: where the CPU time goes (" all " samples)</text>"
  draw("all", 10, 0)
  print "</svg>"
}
