// What the page does beside showing text: charts that answer to the pointer and the keyboard, images in full size,
// CSV to copy. Without scripts the page still has every figure as an image, and every number in a table.
"use strict";
(() => {
  const HEIGHT = 300, COLORS = 8, DASHES = [[], [8, 4], [2, 3], [14, 3, 2, 3]];
  const STYLES = ["solid", "dashed", "dotted", "double"];
  const charts = [];

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function style(name) {
    return getComputedStyle(document.body).getPropertyValue(name).trim();
  }

  const color = (line) => style(`--line-${line.color % COLORS}`);
  const dash = (line) => DASHES[(line.dash + Math.floor(line.color / COLORS)) % DASHES.length];

  function number(value) {
    return value == null ? "–" : String(Number(value.toPrecision(5)));
  }

  function button(text, press) {
    const made = element("button", { type: "button", textContent: text });
    made.addEventListener("click", () => press(made));
    return made;
  }

  function toggle(text, press, on = false) {
    const made = button(text, () => {
      const now = made.getAttribute("aria-pressed") !== "true";
      made.setAttribute("aria-pressed", now);
      press(now);
    });
    made.setAttribute("aria-pressed", on);
    return made;
  }

  function group(className, label, ...children) {
    const made = element("div", { className }, ...children);
    made.setAttribute("role", "group");
    made.setAttribute("aria-label", label);
    return made;
  }

  // One chart: a plot, a switch for each of its lines, and what the keyboard and the axes need. Its role is a slider's,
  // whose arrow keys a screen reader passes on and whose value it reads. `level` is that of its title.
  function chart(data, level) {
    const logarithmic = { x: false, y: false };
    const shown = data.lines.map((line) => line.shown);
    const plotted = element("div", { className: "plot", tabIndex: 0 });
    const attributes = {
      role: "slider", "aria-label": `Chart: ${data.title}`, "aria-valuemin": data.at[0], "aria-valuemax": data.at.at(-1),
      "aria-description": "Arrow keys move the cursor, plus and minus zoom, 0 shows all.",
    };
    Object.entries(attributes).forEach(([name, value]) => plotted.setAttribute(name, value));
    const spoken = element("p", { className: "unseen" });
    spoken.setAttribute("aria-live", "polite");  // with a role it is read as a bar where it is empty
    const at = element("span", { className: "quiet" });
    const values = data.lines.map(() => element("span", { className: "value" }));
    let plot = null, width = 0;

    const columns = data.lines.map((line) => [line.y, line.low || line.y, line.high || line.y]).flat();
    const places = (axis) => (axis === "x" ? [data.at] : columns);
    const positive = (axis) => places(axis).every((column) => column.every((value) => value === null || value > 0));

    function options() {
      const series = [{ label: data.x }], bands = [];
      data.lines.forEach((line, i) => {
        const look = { show: shown[i], scale: "y", spanGaps: true, stroke: () => color(line), points: { show: false } };
        const single = data.at.length === 1;
        series.push({ ...look, label: line.name, width: 2, dash: dash(line), points: { show: single } });
        series.push({ ...look, width: 0 }, { ...look, width: 0 });
        const first = 3 * i + 2;
        if (line.low) {
          bands.push({ series: [first + 1, first], fill: () => `${color(line)}26` });
        }
      });
      const axis = (label) => ({
        label, stroke: () => style("--ink"), grid: { stroke: () => style("--line"), width: 1 },
        ticks: { stroke: () => style("--line"), width: 1 }, font: "12px sans-serif", labelFont: "12px sans-serif",
        values: (_, splits) => splits.map((value) => (value === null ? "" : number(value))),
      });
      const whole = data.at.every(Number.isInteger) && !logarithmic.x;
      const steps = whole ? { incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000, 5000, 10000] } : {};
      const wide = (_, labels) => 20 + 7 * Math.max(4, ...(labels || []).map((label) => label.length));
      const near = { range: (_, low, high) => [low / 1.1, high * 1.1] };  // of whole decades most would be empty
      const points = { show: (_, i) => (i - 1) % 3 === 0 };
      return {
        width, height: HEIGHT, series, bands, legend: { show: false },
        axes: [{ ...axis(data.x), ...steps, labelSize: 18 }, { ...axis(), size: wide }],
        scales: { x: { time: false, distr: logarithmic.x ? 3 : 1 }, y: logarithmic.y ? { distr: 3, ...near } : {} },
        cursor: { sync: { key: data.x, setSeries: false, scales: ["x", null] }, points, focus: { prox: 30 } },
        focus: { alpha: 1 },
        hooks: { setCursor: [show], draw: [kept] },
      };
    }

    // A ring where the weights are kept.
    function kept({ ctx, valToPos, data: [, ...drawn] }) {
      const pixels = devicePixelRatio;
      data.lines.forEach((line, i) => shown[i] && line.kept.forEach((x) => {
        const y = drawn[3 * i][data.at.indexOf(x)];
        if (y !== null) {
          ctx.beginPath();
          ctx.arc(valToPos(x, "x", true), valToPos(y, "y", true), 5 * pixels, 0, 2 * Math.PI);
          Object.assign(ctx, { lineWidth: 2 * pixels, strokeStyle: color(line), fillStyle: style("--page") });
          ctx.fill();
          ctx.stroke();
        }
      }));
    }

    function show(now) {
      const i = now.cursor.idx;
      at.textContent = i == null ? "" : `${data.x} ${number(data.at[i])}`;
      values.forEach((place, line) => {
        place.textContent = i == null || !shown[line] ? "" : `: ${number(data.lines[line].y[i])}`;
      });
      const read = data.lines.map((line, at) => (shown[at] ? `${line.name}: ${point(line, i)}` : "")).filter(Boolean);
      plotted.setAttribute("aria-valuenow", data.at[i ?? 0]);
      plotted.setAttribute("aria-valuetext", i == null ? "no point chosen" : `${at.textContent}: ${read.join("; ")}`);
    }

    function point(line, i) {
      const band = line.low && line.low[i] !== null ? ` (${number(line.low[i])} to ${number(line.high[i])})` : "";
      return `${number(line.y[i])}${band}${line.kept.includes(data.at[i]) ? ", kept" : ""}`;
    }

    function draw() {
      plot?.destroy();
      plot = new uPlot(options(), [data.at, ...columns], plotted);
    }

    function zoom(low, high) {
      const first = data.at[0], last = data.at.at(-1);
      const range = { min: Math.max(first, low), max: Math.min(last, high) };
      plot.setScale("x", range);
      spoken.textContent = `${data.x} ${number(range.min)} to ${number(range.max)} shown`;
    }

    function move(step) {
      const inside = data.at.map((_, i) => i).filter(
        (i) => data.at[i] >= plot.scales.x.min && data.at[i] <= plot.scales.x.max);
      const now = inside.indexOf(plot.cursor.idx);
      const next = inside[now < 0 ? (step > 0 ? 0 : inside.length - 1) : Math.min(Math.max(now + step, 0), inside.length - 1)];
      if (next !== undefined) {
        plot.setCursor({ left: plot.valToPos(data.at[next], "x"), top: plot.over.clientHeight / 2 }, true, true);
      }
    }

    function key(event) {
      const { min, max } = plot.scales.x, middle = (min + max) / 2, half = (max - min) / 2;
      const keys = {
        ArrowLeft: () => move(-1), ArrowRight: () => move(1), "+": () => zoom(middle - half / 2, middle + half / 2),
        "-": () => zoom(middle - 2 * half, middle + 2 * half), 0: () => zoom(-Infinity, Infinity),
      };
      const act = keys[event.key === "=" ? "+" : event.key];
      if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        act();
      }
    }

    plotted.addEventListener("keydown", key);
    const lines = data.lines.map((line, i) => {
      const swatch = element("span", { className: "swatch" });
      swatch.style.borderTop = `3px ${STYLES[DASHES.indexOf(dash(line))]} var(--line-${line.color % COLORS})`;
      const made = toggle("", (on) => {
        shown[i] = on;
        plot.batch(() => [1, 2, 3].forEach((series) => plot.setSeries(3 * i + series, { show: on })));
        show(plot);
      }, line.shown);
      made.append(swatch, line.name, values[i]);
      return made;
    });
    const axes = ["x", "y"].filter(positive).map((axis) => toggle(`log ${axis} axis`, (on) => {
      logarithmic[axis] = on;
      draw();
    }));
    const all = button("show all", () => zoom(-Infinity, Infinity));
    const tools = group("tools", `Axes of ${data.title}`, ...axes, all, at);
    const said = [data.band && `Band: ${data.band}.`, data.lines.some((line, i) => shown[i] && line.kept.length) &&
      "Ring: the epoch whose weights are kept."].filter(Boolean).join(" ");
    const about = said ? [element("p", { className: "quiet", textContent: said })] : [];
    const title = element(`h${level}`, { className: "chart-title", textContent: data.title });
    const box = element("div", { className: "chart" }, title, group("lines", `Lines of ${data.title}`, ...lines), plotted,
      tools, ...about, spoken);
    function fit(to) {
      width = to;
      plot ? plot.setSize({ width, height: HEIGHT }) : draw();
    }

    charts.push({ plotted, fit, redraw: () => plot.redraw(false) });
    return box;
  }

  for (const source of document.querySelectorAll("script.chart-data")) {
    const figure = source.closest("figure");
    source.before(chart(JSON.parse(source.textContent), Number(figure.querySelector("h3, h4").tagName[1]) + 1));
    figure.querySelectorAll("details.still").forEach((still) => still.removeAttribute("open"));
  }
  function fit() {
    const widths = charts.map(({ plotted }) => plotted.clientWidth || 600);  // before any is drawn: one layout for all
    charts.forEach((each, i) => each.fit(widths[i]));
  }
  fit();

  // The colours are the theme's: drawn again when it changes, and for paper, which is always light.
  const again = () => charts.forEach((each) => each.redraw());
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", again);
  }
  addEventListener("beforeprint", again);
  addEventListener("afterprint", again);
  let waiting = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(fit);
  });

  const title = (inside) => inside.closest("figure").querySelector("h3, h4").textContent;

  // Images in full size.
  const large = document.getElementById("large");
  for (const image of document.querySelectorAll("figure img")) {
    const opener = element("button", { type: "button", className: "enlarge" });
    image.replaceWith(opener);
    opener.append(image);
    opener.setAttribute("aria-label", `Full size: ${title(opener)}`);
    opener.addEventListener("click", () => {
      large.querySelector("img").src = image.src;
      large.querySelector("img").alt = image.alt;
      large.showModal();
    });
  }
  large.addEventListener("click", (event) => event.target === large && large.close());
  large.querySelector("button").addEventListener("click", () => large.close());

  // CSV to copy; where a browser does not allow it, the text is selected.
  for (const text of document.querySelectorAll("textarea.csv")) {
    const said = element("span", { className: "quiet" });
    said.setAttribute("aria-live", "polite");
    const copy = button("Copy as CSV", async () => {
      try {
        await navigator.clipboard.writeText(text.value);
        said.textContent = " Copied";
      } catch {
        text.select();
        said.textContent = " Selected: copy it with the keyboard";
      }
    });
    copy.setAttribute("aria-label", `Copy as CSV: ${title(text)}`);
    text.before(copy, said);
  }

  // A table that is wider than the page is reached with the keyboard, and says that it scrolls.
  function reach() {
    const places = [...document.querySelectorAll(".scroll")];
    // All are measured before any is changed, so that the page is laid out once; what is folded is when it opens.
    const wide = places.map((place) => !place.closest("details:not([open])") && place.scrollWidth > place.clientWidth);
    const attributes = { tabindex: 0, role: "group", "aria-label": "Table that scrolls sideways" };
    places.forEach((place, i) => {
      Object.entries(attributes).forEach(([name, value]) =>
        wide[i] ? place.setAttribute(name, value) : place.removeAttribute(name));
      place.classList.toggle("scrolls", wide[i]);
    });
  }
  reach();
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
})();
