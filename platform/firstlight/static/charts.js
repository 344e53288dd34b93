// Draws every [data-chart] from the JSON script that it names. Colours come from CSS variables, so both themes fit.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const soft = (name, share) => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = css(name);
    const value = parseInt(probe.fillStyle.slice(1), 16);
    return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${share})`;
  };
  const superscript = (power) => [...power].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "")).join("");
  const narrow = () => window.innerWidth < 640;
  const digits = (value) =>
    value === null || value === undefined
      ? "–"
      : value !== 0 && Math.abs(value) < 0.001
        ? value.toExponential(2).replace(/e(.*)/, (_, power) => ` × 10${superscript(power)}`)
        : Number(value.toPrecision(3)).toString();
  const whole = (value) => value.toLocaleString("en-GB");
  const count = (value, noun) => `${whole(value)} ${noun}${value === 1 ? "" : "s"}`;
  const escape = (text) => String(text).replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const cut = (text) => escape(String(text).length > 60 ? `${String(text).slice(0, 59)}…` : text);

  const axis = (title, more) => ({
    title: { text: title, font: { size: 13 }, standoff: 8 },
    gridcolor: css("--chart-grid"),
    linecolor: css("--line"),
    zeroline: false,
    ticks: "outside",
    tickcolor: css("--line"),
    automargin: true,
    ...more,
  });
  const logX = (title, from, to) =>
    axis(title, { type: "log", range: [Math.log10(from), Math.log10(to)], exponentformat: "SI", dtick: to / from < 40 ? "D2" : 1, minor: { ticks: "outside", tickcolor: css("--line") } });
  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, color: css("--ink"), size: 12.5 },
    margin: { l: narrow() ? 52 : 66, r: 14, t: 14, b: 56 },
    legend: { orientation: "h", y: narrow() ? -0.3 : -0.2, yanchor: "top", x: 0, xanchor: "left" },
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") }, align: "left" },
    ...more,
  });
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "svg", filename: "firstlight" },
  };

  const facts = (p) =>
    `<b>${cut(p.name)}</b><br>N = ${whole(p.n_params)}<br>` +
    (p.mean === 0
      ? `no pass, PU at most ${digits(p.high)}`
      : `PU = ${digits(p.mean)}<br>${Math.round(p.level * 100)}% interval ${digits(p.low)} – ${digits(p.high)}`) +
    (p.draws ? `<br>${count(p.draws, "draw")}, ${count(p.instances, "instance")}` : "") +
    (p.run ? `<br>run ${p.run}: click to open` : "");
  const bars = (points, key, color) => ({
    type: "data",
    symmetric: false,
    array: points.map((p) => (key === "mean" ? p.high - p.mean : Math.max((p.f_high ?? p.f) - p.f, 0))),
    arrayminus: points.map((p) => (key === "mean" ? p.mean - p.low : Math.max(p.f - (p.f_low ?? p.f), 0))),
    color,
    thickness: 1.4,
    width: 4,
  });
  const trace = (points, key, name, color, symbol, more) => ({
    type: "scatter",
    mode: "markers",
    name,
    x: points.map((p) => p.n_params),
    y: points.map((p) => p[key]),
    customdata: points.map((p) => p.url || ""),
    text: points.map(facts),
    hovertemplate: "%{text}<extra></extra>",
    marker: { color, symbol, size: 9, line: { width: 1, color: css("--card") } },
    error_y: bars(points, key, color),
    ...more,
  });
  // A size without a pass is no point: its upper bound is drawn, with an arrow to where the truth may lie.
  const bounds = (points, key, color, name) => ({
    type: "scatter",
    mode: "markers",
    name,
    x: points.map((p) => p.n_params),
    y: points.map((p) => (key === "mean" ? p.high : p.f_low)),
    customdata: points.map((p) => p.url || ""),
    text: points.map(facts),
    hovertemplate: "%{text}<extra></extra>",
    marker: { color, symbol: "line-ew-open", size: 15, line: { width: 2.5, color } },
  });
  const arrow = (p, key, color) => {
    const isLog = key === "mean";
    const from = isLog ? Math.log10(p.high) : p.f_low;
    return {
      x: Math.log10(p.n_params),
      ax: Math.log10(p.n_params),
      axref: "x",
      y: isLog ? from - 0.32 : from + 0.12,
      ay: from,
      ayref: "y",
      xref: "x",
      yref: "y",
      showarrow: true,
      arrowhead: 2,
      arrowsize: 1.1,
      arrowwidth: 1.8,
      arrowcolor: color,
      text: "",
    };
  };

  const band = (curve, key, upTo) => {
    const part = upTo ? curve.band.filter((b) => b.n_params <= upTo * 1.0001) : curve.band;
    const [low, high] = key === "mean" ? ["low", "high"] : ["f_low", "f_high"];
    const clip = (value) => (key === "mean" ? Math.max(value, 1e-12) : Math.max(Math.min(value, 8), -12));
    const shared = { type: "scatter", mode: "lines", hoverinfo: "skip", x: part.map((b) => b.n_params), line: { width: 0 } };
    return [
      { ...shared, y: part.map((b) => clip(b[low])), showlegend: false },
      { ...shared, y: part.map((b) => clip(b[high])), fill: "tonexty", fillcolor: soft("--chart-1", 0.15), name: `${Math.round(curve.law.level * 100)}% band of the line` },
    ];
  };
  const line = (curve, key) => {
    const edge = curve.law.largest_fitted;
    const inside = curve.band.filter((b) => b.n_params <= edge * 1.0001);
    const outside = curve.band.filter((b) => b.n_params >= (inside.at(-1)?.n_params ?? 0));
    const shared = { type: "scatter", mode: "lines", hovertemplate: "N = %{x:.3s}<br>line: %{customdata}<extra></extra>" };
    return [
      { ...shared, name: curve.line, x: inside.map((b) => b.n_params), y: inside.map((b) => b[key]), customdata: inside.map((b) => digits(b.mean)), line: { color: css("--chart-1"), width: 2 } },
      { ...shared, name: `${curve.line}, extrapolated`, x: outside.map((b) => b.n_params), y: outside.map((b) => b[key]), customdata: outside.map((b) => digits(b.mean)), line: { color: css("--chart-1"), width: 2, dash: "dash" } },
    ];
  };

  const curveChart = (curve, key) => {
    const fitted = curve.points.filter((p) => p.fitted);
    const zero = curve.points.filter((p) => p.zero);
    const others = curve.points.filter((p) => !p.zero && !p.fitted && p[key] !== null);
    const traces = [];
    const annotations = [];
    const shapes = [];
    if (curve.law) traces.push(...band(curve, key), ...line(curve, key));
    if (fitted.length) traces.push(trace(fitted, key, "measured (95% interval)", css("--chart-1"), "circle"));
    if (others.length) traces.push(trace(others, key, "measured, not fitted", css("--chart-5"), "circle-open"));
    const noPass = [...zero, ...(curve.measured?.zero ? [curve.measured] : [])];
    if (noPass.length) {
      traces.push(bounds(noPass, key, css("--chart-4"), "no pass: upper bound"));
      annotations.push(...noPass.map((p) => arrow(p, key, css("--chart-4"))));
    }
    if (curve.target) {
      traces.push(trace([curve.target], key, `forecast (${Math.round(curve.target.level * 100)}% interval)`, css("--chart-2"), "diamond", { marker: { color: css("--chart-2"), symbol: "diamond", size: 13, line: { width: 1, color: css("--card") } } }));
    }
    if (curve.measured && !curve.measured.zero) {
      traces.push(trace([curve.measured], key, "the target, measured", css("--chart-3"), "star", { marker: { color: css("--chart-3"), symbol: "star", size: 14, line: { width: 1, color: css("--card") } } }));
    }
    const shown = [...curve.points, ...(curve.target ? [curve.target] : []), ...(curve.measured ? [curve.measured] : [])];
    const sizes = [...shown.map((p) => p.n_params), ...curve.band.map((b) => b.n_params)];
    const [from, to] = [Math.min(...sizes) * 0.8, Math.max(...sizes) * 1.25];
    if (curve.law && to > curve.law.largest_fitted * 1.3) {
      shapes.push({ type: "rect", xref: "x", yref: "paper", x0: curve.law.largest_fitted * 1.05, x1: to, y0: 0, y1: 1, fillcolor: soft("--chart-2", 0.07), line: { width: 0 }, layer: "below" });
      annotations.push({ xref: "paper", yref: "paper", x: 1, y: 0.01, xanchor: "right", yanchor: "bottom", text: "extrapolation", showarrow: false, font: { color: css("--ink-soft"), size: 11.5 } });
    }
    return { traces, annotations, shapes, shown, from, to };
  };

  const drawCurve = (node, curve, key) => {
    const { traces, annotations, shapes, shown, from, to } = curveChart(curve, key);
    let yaxis;
    if (key === "mean") {
      const values = shown.flatMap((p) => (p.mean === 0 ? [p.high / 3] : [p.low || p.mean / 3, p.mean]));
      const lowest = Math.max(Math.min(...values.filter((v) => v > 0)), 1e-10);
      yaxis = axis("Pass probability (PU)", { type: "log", range: [Math.log10(lowest) - 0.15, 0.08], exponentformat: "power", dtick: 1 });
    } else {
      const values = shown.flatMap((p) => [p.f, p.f_low, p.f_high]).filter((v) => v !== null && v !== undefined);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = Math.max((high - low) * 0.08, 0.1);
      yaxis = axis(narrow() ? "log(−log PU), reversed" : "log(−log PU), axis reversed: better is up", { range: [high + room + 0.1, low - room] });
    }
    const xaxis = logX("Non-embedding parameters N", from, to);
    return Plotly.react(node, traces, layout({ xaxis, yaxis, annotations, shapes }), config);
  };

  const drawSeries = (node, data) => {
    const colors = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5"].map(css);
    const symbols = ["circle", "square", "diamond", "triangle-up", "cross", "star"];
    const traces = [];
    const annotations = [];
    const all = data.series.flatMap((s) => s.points);
    data.series.forEach((s, i) => {
      const color = colors[i % colors.length];
      const passed = s.points.filter((p) => p.mean > 0);
      const none = s.points.filter((p) => p.mean === 0);
      const group = { legendgroup: s.name };
      if (passed.length) traces.push(trace(passed, "mean", cut(s.name), color, symbols[i % symbols.length], { mode: "lines+markers", line: { color, width: 1.3, dash: "dot" }, ...group }));
      if (none.length) {
        traces.push({ ...bounds(none, "mean", color, `${cut(s.name)}: no pass`), ...group, showlegend: !passed.length });
        annotations.push(...none.map((p) => arrow(p, "mean", color)));
      }
    });
    const sizes = all.map((p) => p.n_params);
    const values = all.flatMap((p) => (p.mean === 0 ? [p.high / 3] : [p.low || p.mean / 3]));
    const lowest = Math.max(Math.min(...values), 1e-10);
    const xaxis = logX("Non-embedding parameters N", Math.min(...sizes) * 0.8, Math.max(...sizes) * 1.25);
    const yaxis = axis("Pass probability (PU)", { type: "log", range: [Math.log10(lowest) - 0.15, 0.08], exponentformat: "power", dtick: 1 });
    return Plotly.react(node, traces, layout({ xaxis, yaxis, annotations }), config);
  };

  const draw = (node) => {
    const data = JSON.parse(document.getElementById(node.dataset.chart).textContent);
    const drawn = data.kind === "curve" ? drawCurve(node, data, node.dataset.view) : drawSeries(node, data);
    drawn.then(() => {
      if (node.dataset.ready) return;
      node.dataset.ready = "yes";
      node.on("plotly_click", (event) => {
        const url = event.points[0]?.customdata;
        if (typeof url === "string" && url.startsWith("/")) window.location.assign(url);
      });
    });
  };
  const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);
  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("themechange", () => document.readyState !== "loading" && drawAll());
})();
