// The explorer of a run: maps, patterns and what was found at each position.
//
// Bokeh draws and links the plots; this file unpacks arrays when they are asked for, fills the plots,
// and writes what is known of a position. Texts of users only ever become text nodes.
"use strict";

(() => {
const run = JSON.parse(byId("run").textContent);
const MIXED = -3, VACUUM = -2, UNDECIDED = -1, UNINDEXED = -4;
const DEGREE = Math.PI / 180;
const state = { scan: 0, y: 0, x: 0, layers: ["phase", "ion_content"], candidate: null, from: null };
const hidden = new Set();  // answers that the legend has switched off
let plots = {};  // Bokeh models by name
let shown = {};  // arrays of the scan that is shown, by name
let asked = 0;  // of several positions asked for, only the last is shown

// ---- Parts of the page ----

function byId(id) { return document.getElementById(id); }

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child !== null));
  return made;
}

function fill(id, ...children) { byId(id).replaceChildren(...children.filter(child => child !== null)); }

// ---- Arrays: base64 of a deflated stream, bytes sorted by place (see packing.py) ----

const TYPES = { f4: Float32Array, i4: Int32Array, i2: Int16Array, i1: Int8Array, u1: Uint8Array };
let unpacked = new Map();

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), sign => sign.charCodeAt(0));
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(source) {
  const sorted = await inflated(fromBase64(source.textContent));
  const Type = TYPES[source.dataset.dtype], size = Type.BYTES_PER_ELEMENT;
  const count = sorted.length / size, bytes = new Uint8Array(sorted.length);
  for (let place = 0; place < size; place++)
    for (let k = 0, from = place * count; k < count; k++) bytes[k * size + place] = sorted[from + k];
  const values = new Type(bytes.buffer);
  values.shape = source.dataset.shape.split(" ").map(Number);
  return values;
}

// The array by its name, or null where this scan has none. Arrays of another scan are forgotten.
function array(name, owner = `s${state.scan}`) {
  const id = `${owner}-${name}`;
  if (!unpacked.has(id)) {
    const source = byId(id);
    unpacked.set(id, source ? unpack(source) : Promise.resolve(null));
  }
  return unpacked.get(id);
}

async function need(...names) {
  const scan = state.scan;
  const found = await Promise.all(names.map(name => array(name)));
  if (scan === state.scan) names.forEach((name, k) => { shown[name] = found[k]; });
}

const OF_POSITION = [
  "decision", "rule", "label", "posterior", "share", "rotation", "scale_factor", "centre",
  "log_evidence", "forced_evidence", "reliability", "explained", "cell", "cell_stderr",
  "cell_misfit", "phase_misfit", "axial_ratio", "axial_ratio_stderr", "ion_content",
  "ion_content_stderr", "second_phase", "second_rotation", "second_share", "score",
  "orientation_probability", "spot_offset", "spot_qx", "spot_qy", "spot_intensity", "centre_y", "centre_x",
  "lattice_rotation", "lattice_family", "pattern_position", "pattern_start", "pattern_step",
  ...run.laid.flatMap(map => ["", "_stderr", "_place"].map(part => `laid_${map.stack}${part}`)),
];

const OF_SPECTRUM = ["pixel", "pixel_row", "pixel_column", "energy", "measured", "measured_stderr", "model"];

const NORMAL_95 = 1.959964;  // of one number: half of its 95 % interval over the standard error
// Of a plane normal distribution: its radius of 95 % over the root mean square distance.
const NINETY_FIVE = Math.sqrt(-Math.log(0.05));

const OF_FRONTS = ["offset", "ends", "direction", "direction_stderr", "width", "width_stderr", "tilt", "tilt_stderr"];

// ---- Numbers as print has them ----

function known(value) { return value !== undefined && value !== null && Number.isFinite(value); }

function fixed(value, digits) { return known(value) ? value.toFixed(digits).replace("-", "−") : "–"; }

// A value with its standard error, two digits of it: 2.03 ± 0.12.
function withError(value, error) {
  if (!known(value)) return "–";
  if (!(known(error) && error > 0)) return String(Number(value.toFixed(4)));
  const digits = Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(error))));
  return `${fixed(value, digits)} ± ${error.toFixed(digits)}`;
}

function percent(value) { return known(value) ? `${(100 * value).toFixed(0)} %` : "–"; }

function scanNow() { return run.scans[state.scan]; }

function answerName(code) {
  return { [MIXED]: "mixed", [VACUUM]: "vacuum", [UNDECIDED]: "undecided", [UNINDEXED]: "unindexed" }[code]
    ?? run.phases[code].label;
}

// ---- Layers of the maps ----

function answerColour(code) {
  return { [MIXED]: run.colours.mixed, [VACUUM]: run.colours.vacuum, [UNDECIDED]: run.colours.undecided,
           [UNINDEXED]: run.colours.unindexed }[code] ?? run.phases[code].colour;
}

function rgba(colour) {
  const [r, g, b] = [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
}

function values(name, title, unit, options = {}) {
  return { title, unit, needs: [name, ...(options.also ?? [])], palette: "viridis",
           value: (k) => shown[name][k], ...options };
}

const ANSWERED = { where: k => shown.decision[k] >= 0 || shown.decision[k] === MIXED };
const CRYSTAL = { where: k => shown.decision[k] !== VACUUM };

function likeliest(k) {
  const count = run.phases.length;
  let best = 0;
  for (let phase = 1; phase < count; phase++)
    if ((shown.posterior[k * count + phase] || 0) > (shown.posterior[k * count + best] || 0)) best = phase;
  return best;
}

// What a position is taken for where one phase has to be named: the decided one, or the likeliest.
function phaseOf(k) { return shown.decision[k] >= 0 || !shown.posterior ? shown.decision[k] : likeliest(k); }

function direction(axis) {
  return { title: `orientation, IPF ${axis.toUpperCase()}`, needs: [`ipf_${axis}`], key: true,
    colour: k => (255 << 24 | shown[`ipf_${axis}`][3 * k + 2] << 16 | shown[`ipf_${axis}`][3 * k + 1] << 8
                  | shown[`ipf_${axis}`][3 * k]) >>> 0 };
}

function ofPhase(name, title, unit, options) {
  return values(name, title, unit, { also: ["posterior"], ...CRYSTAL, ...options,
    value: k => shown[name][k * run.phases.length + Math.max(0, phaseOf(k))] });
}

const LAYERS = {
  phase: { title: "phase", needs: [], colour: k => hidden.has(shown.decision[k]) ? 0x00ffffff : rgba(answerColour(shown.decision[k])) },
  ipf_x: direction("x"), ipf_y: direction("y"), ipf_z: direction("z"),
  ion_content: values("ion_content", "ion content", `${run.ion} per formula unit`, ANSWERED),
  ion_content_stderr: values("ion_content_stderr", "ion content, standard error", `${run.ion} per formula unit`,
    { ...ANSWERED, palette: "magma", low: 0 }),
  axial_ratio: values("axial_ratio", "axial ratio c/a", "c over mean of a and b", ANSWERED),
  axial_ratio_stderr: values("axial_ratio_stderr", "axial ratio, standard error", "c over mean of a and b",
    { ...ANSWERED, palette: "magma", low: 0 }),
  posterior: { ...values("posterior", "posterior of the likeliest phase", "probability", CRYSTAL),
    value: k => shown.posterior[k * run.phases.length + likeliest(k)], low: 1 / run.phases.length, high: 1 },
  ...Object.fromEntries(run.phases.map((phase, index) => [`posterior_${index}`, {
    ...values("posterior", `posterior of ${phase.label}`, "probability", CRYSTAL),
    value: k => shown.posterior[k * run.phases.length + index], low: 0, high: 1 }])),
  thickness: values("thickness", "thickness level", "diffuse excess over its mean", { low: 0 }),
  grains: { title: "grains", needs: ["label"], colour: k => rgba(grainColour(shown.label[k])) },
  reliability: values("reliability", "reliability", "1 − next/best score", { ...CRYSTAL, low: 0 }),
  score: ofPhase("score", "match of the template", "normalised correlation", { low: 0 }),
  orientation_probability: values("orientation_probability", "half turn and variant", "probability of being right",
    { ...CRYSTAL, low: 0, high: 1 }),
  explained: values("explained", "spots explained", "share", { ...CRYSTAL, low: 0, high: 1 }),
  cell_misfit: values("cell_misfit", "misfit of the cell", "standard errors", { ...CRYSTAL, low: 0 }),
  bright_field: values("bright_field", "virtual bright field", "counts", { palette: "greys" }),
  dark_field: values("dark_field", "virtual dark field", "counts", { palette: "greys" }),
  ...Object.fromEntries(run.laid.flatMap(({ stack, quantity, unit }) => [
    [`laid_${stack}`, values(`laid_${stack}`, `${quantity} by ${stack}`, unit)],
    [`laid_${stack}_stderr`, values(`laid_${stack}_stderr`, `${quantity} by ${stack}, standard error`, unit,
      { palette: "magma", low: 0 })],
    [`laid_${stack}_place`, values(`laid_${stack}_place`, `error of the place of ${stack}`, "nm", { palette: "magma", low: 0 })],
  ])),
};

// Pale colours for neighbours to differ; the number stands in the table.
function grainColour(label) {
  if (label < 0) return "#ffffff";
  const pale = ["#a6cee3", "#fdd49e", "#b8e0c8", "#e3c5dd", "#c6dbef", "#f2e6b0", "#d9d9d9", "#f4c2a8", "#bcbddc", "#ccebc5"];
  return pale[(label * 7) % pale.length];
}

function hasLayer(name) {
  return LAYERS[name].needs.every(one => byId(`s${state.scan}-${one}`)) ;
}

async function drawMap(panel) {
  const name = state.layers[panel], layer = LAYERS[name], letter = "ab"[panel];
  await need("decision", "label", ...layer.needs);
  const [rows, columns] = scanNow().shape, count = rows * columns, unit = step();
  const place = { x: [0], y: [0], dw: [columns * unit], dh: [rows * unit] };
  const colours = plots[`map-${letter}-rgba`], numbers = plots[`map-${letter}-values`];
  if (layer.colour) {
    const image = new Uint32Array(count);
    for (let k = 0; k < count; k++) image[k] = layer.colour(k);
    plots[`map-${letter}-colours`].data = { ...place, image: [ndarray(image, "uint32", rows, columns)] };
  } else {
    const image = new Float32Array(count);
    for (let k = 0; k < count; k++) image[k] = layer.where && !layer.where(k) ? NaN : layer.value(k);
    const sorted = Float32Array.from(image.filter(Number.isFinite)).sort();
    const at = share => sorted.length ? sorted[Math.round(share * (sorted.length - 1))] : NaN;
    let low = layer.low ?? at(0.005), high = layer.high ?? Math.min(at(0.995), layer.most ?? Infinity);
    if (!(high > low)) { low = known(low) ? low - 0.5 : 0; high = low + 1; }
    const mapper = plots[`map-${letter}-mapper`];
    mapper.setv({ low, high, palette: run.palettes[layer.palette] });
    plots[`map-${letter}-bar`].title = `${layer.title} (${layer.unit})`;
    plots[`map-${letter}-image`].data = { ...place, image: [ndarray(image, "float32", rows, columns)] };
  }
  colours.visible = Boolean(layer.colour);
  numbers.visible = plots[`map-${letter}-bar`].visible = !layer.colour;
  plots[`map-${letter}-hatch`].visible = name === "phase" && !hidden.has(MIXED);
  byId(`layer-${letter}`).value = name;
  const used = state.layers.map(one => LAYERS[one]);
  byId("legend").hidden = !state.layers.includes("phase");
  byId("keys").hidden = !used.some(one => one.key);
}

function ndarray(data, dtype, rows, columns) {
  return Bokeh.require("core/util/ndarray").ndarray(data, { dtype, shape: [rows, columns] });
}

// ---- What all maps of a scan share: boundaries, hatched positions, size ----

function step() { return scanNow().step_nm ?? 1; }

function edgesBetween(differ) {
  const [rows, columns] = scanNow().shape, unit = step();
  const edges = { x0: [], y0: [], x1: [], y1: [] };
  const add = (x0, y0, x1, y1) => {
    edges.x0.push(x0 * unit); edges.y0.push(y0 * unit); edges.x1.push(x1 * unit); edges.y1.push(y1 * unit);
  };
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const k = y * columns + x;
      if (x + 1 < columns && differ(k, k + 1)) add(x + 1, y, x + 1, y + 1);
      if (y + 1 < rows && differ(k, k + columns)) add(x, y + 1, x + 1, y + 1);
    }
  return edges;
}

function drawShared() {
  const [rows, columns] = scanNow().shape, unit = step(), { decision, label } = shown;
  const unanswered = k => decision[k] === UNDECIDED || decision[k] === UNINDEXED;
  plots.edges.data = edgesBetween((a, b) => label[a] !== label[b] && !(unanswered(a) && unanswered(b)));
  const hatched = { left: [], right: [], top: [], bottom: [] };
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      if (decision[y * columns + x] !== MIXED) continue;
      const start = x;
      while (x + 1 < columns && decision[y * columns + x + 1] === MIXED) x++;
      hatched.left.push(start * unit); hatched.right.push((x + 1) * unit);
      hatched.top.push(y * unit); hatched.bottom.push((y + 1) * unit);
    }
  plots.hatched.data = hatched;
  const fronts = { x0: [], y0: [], x1: [], y1: [] }, ends = shown.front_ends;
  for (let s = 0; s < ends.length; s += 4)
    ["y0", "x0", "y1", "x1"].forEach((column, n) => fronts[column].push((ends[s + n] + 0.5) * unit));
  plots.fronts.data = fronts;
}

function showFronts() {
  for (const letter of "ab")
    for (const part of ["under", "over"]) plots[`map-${letter}-fronts-${part}`].visible = byId("with-fronts").checked;
}

function fitMaps() {
  const [rows, columns] = scanNow().shape, unit = step();
  const width = Math.max(160, Math.floor((byId("maps").clientWidth - 12) / 2) - 4);
  const tallest = 560, height = Math.max(60, Math.min(tallest, width * rows / columns));
  for (const letter of "ab") plots[`map-${letter}`].setv({ frame_width: width, frame_height: Math.round(height) });
  // A position is a square: what the panel has beyond the scan stays empty.
  const [w, h] = [columns * unit, rows * unit], perPixel = Math.max(w / width, h / height);
  const [left, top] = [(w - perPixel * width) / 2, (h - perPixel * height) / 2];
  const range = (start, end) => ({ start, end, reset_start: start, reset_end: end });
  plots["map-a"].x_range.setv(range(left, w - left));
  plots["map-a"].y_range.setv(range(h - top, top));
  const line = Math.min(0.8, 0.3 / perPixel * unit);  // thin where positions are small
  for (const letter of "ab") {
    plots[`map-${letter}-scale`].visible = known(scanNow().step_nm);
    plots[`map-${letter}-edges`].glyph.line_width = { value: Math.max(0.25, line) };
  }
}

// ---- One scan ----

async function showScan(index) {
  state.scan = index;
  shown = {};
  for (const id of unpacked.keys()) if (/^s\d+-/.test(id) && !id.startsWith(`s${index}-`)) unpacked.delete(id);
  await need("decision", "label", "rule", ...OF_FRONTS.map(name => `front_${name}`));
  if (index !== state.scan) return;
  state.layers = state.layers.map((name, panel) => hasLayer(name) ? name : ["phase", "grains"][panel]);
  for (const letter of "ab")
    for (const option of byId(`layer-${letter}`).options) option.disabled = !hasLayer(option.value);
  byId("scan").value = String(index);
  const scan = scanNow();
  byId("pattern-box").hidden = !byId(`s${index}-spot_qx`);
  byId("bars").hidden = !byId(`s${index}-posterior`);
  fill("of-scan", ...scan.notes.map(note => element("li", {}, note)));
  fitMaps();
  drawShared();
  await Promise.all([drawMap(0), drawMap(1)]);
  fillCandidates();
  await fillGrains();
}

// ---- One position ----

async function showPosition() {
  const asking = ++asked, begun = performance.now();
  const [rows, columns] = scanNow().shape;
  state.y = Math.max(0, Math.min(rows - 1, state.y));
  state.x = Math.max(0, Math.min(columns - 1, state.x));
  const { scan, y, x } = state, unit = step();
  const place = { x: [(x + 0.5) * unit], y: [(y + 0.5) * unit], side: [unit] };
  plots.place.data = { ...place, reach: [0] };
  writeLink();
  const spectral = spectralMap();
  await need(...OF_POSITION, ...(spectral ? OF_SPECTRUM.map(name => `laid_${spectral.stack}_${name}`) : []));
  if (asking !== asked) return;
  const here = position(y, x);
  const errors = here.laid.filter(map => state.layers.some(layer => layer.startsWith(`laid_${map.stack}`)) && known(map.place_nm));
  if (errors.length) plots.place.data = { ...place, reach: [NINETY_FIVE * Math.max(...errors.map(map => map.place_nm))] };
  writePosition(here);
  drawSpots(here);
  drawGrain(here.grain);
  drawProfile();
  drawSpectrum(here);
  await drawPattern(here, asking);
  if (asking !== asked) return;
  document.body.dataset.shown = `${scanNow().scan}/${y}/${x}`;
  document.body.dataset.answered = (performance.now() - begun).toFixed(0);
}

function row(name, k) {
  const found = shown[name];
  if (!found) return null;
  const length = found.length / (scanNow().shape[0] * scanNow().shape[1]);
  return Array.from(found.subarray(k * length, (k + 1) * length));
}

function one(name, k) { return shown[name] ? shown[name][k] : null; }

// All that is known of a position; the page shows it, and writes it as JSON.
function position(y, x) {
  const scan = scanNow(), k = y * scan.shape[1] + x, likely = shown.posterior ? likeliest(k) : shown.decision[k];
  const here = {
    run: run.run, scan: scan.scan, state: scan.state, y, x,
    decision: answerName(shown.decision[k]), code: shown.decision[k], likeliest: likely,
    posterior: named(row("posterior", k)), share: named(row("share", k)),
    log_evidence: named(row("log_evidence", k)), forced_evidence: named(row("forced_evidence", k)),
    score: named(row("score", k)), orientation_probability: one("orientation_probability", k),
    reliability: one("reliability", k), explained: one("explained", k),
    cell: row("cell", k), cell_stderr: row("cell_stderr", k),
    cell_misfit: one("cell_misfit", k), phase_misfit: one("phase_misfit", k),
    axial_ratio: one("axial_ratio", k), axial_ratio_stderr: one("axial_ratio_stderr", k),
    ion_content: one("ion_content", k), ion_content_stderr: one("ion_content_stderr", k),
    second_phase: shown.second_phase ? shown.second_phase[k] : -1, second_share: one("second_share", k),
    grain: shown.label[k],
    spots: spotsAt(k), predicted: {}, second_predicted: null,
    laid: run.laid.filter(map => shown[`laid_${map.stack}`]).map(map => ({ ...map, value: one(`laid_${map.stack}`, k),
      stderr: one(`laid_${map.stack}_stderr`, k), place_nm: one(`laid_${map.stack}_place`, k) })),
    spectrum: spectrumAt(k), interface: frontsOf(shown.label[k]), morphology: Object.fromEntries(shapesOf(shown.label[k])),
    record: scan.record, raw_file: scan.path, command: scan.command,
  };
  here.reason = reason(here, run.rules.names[shown.rule[k]]);
  if (shown.spot_qx && scan.window)
    run.phases.forEach((phase, index) => { here.predicted[phase.name] = predicted(index, k, row("rotation", k).slice(4 * index, 4 * index + 4), index); });
  if (here.second_phase >= 0 && scan.window)
    here.second_predicted = predicted(here.second_phase, k, row("second_rotation", k), likely);
  return here;
}

// The map whose spectra are shown: one that is drawn, or else the first of the scan that has any.
function spectralMap() {
  const own = run.laid.filter(map => map.spectrum && byId(`s${state.scan}-laid_${map.stack}_pixel`));
  const layers = ["", "_stderr", "_place"];
  return own.find(map => layers.some(part => state.layers.includes(`laid_${map.stack}${part}`))) ?? own[0] ?? null;
}

// The spectrum of the pixel nearest to position k, with the parts of its fit; null where there is none.
function spectrumAt(k) {
  const map = spectralMap();
  if (!map) return null;
  const [pixel, rows, columns, energy, measured, stderr, model] = OF_SPECTRUM.map(name => shown[`laid_${map.stack}_${name}`]);
  const at = pixel[k], size = energy.length, parts = map.spectrum.parts;
  if (at < 0) return null;
  const part = (values, first) => Array.from(values.subarray(first * size, (first + 1) * size));
  return { stack: map.stack, row: rows[at], column: columns[at], energy: Array.from(energy),
    measured: part(measured, at), stderr: part(stderr, at),
    parts: Object.fromEntries(parts.map((name, n) => [name, part(model, at * parts.length + n)])) };
}

// Straight pieces of the interface inside a grain; ends and widths in positions, angles in degrees.
function frontsOf(grain) {
  if (grain < 0) return [];
  const found = [];
  for (let s = shown.front_offset[grain]; s < shown.front_offset[grain + 1]; s++) {
    const [y0, x0, y1, x1] = shown.front_ends.subarray(4 * s, 4 * s + 4);
    found.push({ from: [y0, x0], to: [y1, x1], length: Math.hypot(y1 - y0, x1 - x0),
      ...Object.fromEntries(OF_FRONTS.slice(2).map(name => [name, shown[`front_${name}`][s]])) });
  }
  return found;
}

function frontWords(pieces) {
  if (!pieces.length) return "none in this grain";
  const longest = pieces.reduce((a, b) => b.length > a.length ? b : a), nm = scanNow().step_nm;
  const size = (value, error) => nm ? `${withError(value * nm, error * nm)} nm` : `${withError(value, error)} positions`;
  return [`${pieces.length} straight piece${pieces.length > 1 ? "s" : ""}, the longest ${withError(longest.direction, longest.direction_stderr)}° from x towards y`,
    known(longest.width) ? `band of both phases ${size(longest.width, longest.width_stderr)}` : null,
    known(longest.tilt) ? `tilted ${withError(longest.tilt, longest.tilt_stderr)}° to the beam` : null].filter(Boolean).join(", ");
}

function named(list) {
  return list && Object.fromEntries(run.phases.map((phase, index) => [phase.name, list[index]]));
}

// The sentence of the rule that decided (reasons.py), with what it names filled in.
function reason(here, rule) {
  const scan = scanNow(), { code, second_phase: second } = here;
  const facts = {
    phase: run.phases[code >= 0 && code !== second ? code : here.likeliest]?.label,
    second: run.phases[second]?.label ?? "none",
    posterior: here.posterior ? here.posterior[run.phases[here.likeliest].name].toFixed(4) : "",
    decide_above: scan.decide_above, explained: percent(here.explained), min_explained: percent(scan.min_explained),
    cell_misfit: known(here.cell_misfit) ? here.cell_misfit.toFixed(1) : "", max_misfit: scan.max_misfit,
    phase_misfit: known(here.phase_misfit) ? here.phase_misfit.toFixed(1) : "", second_share: percent(here.second_share),
    clear: percent(1 - run.rules.clear), most: percent(run.rules.clear), map_by: scan.map_by,
    ion_content: known(here.ion_content) ? `${here.ion_content.toFixed(2)} ± ${here.ion_content_stderr.toFixed(2)}` : "",
  };
  return run.rules.sentences[rule].replace(/\{(\w+)\}/g, (_, name) => facts[name]);
}

function spotsAt(k) {
  if (!shown.spot_offset) return null;
  const spots = [];
  for (let s = shown.spot_offset[k]; s < shown.spot_offset[k + 1]; s++)
    spots.push({ qx: shown.spot_qx[s], qy: shown.spot_qy[s], intensity: shown.spot_intensity[s] });
  return spots;
}

// ---- Predicted spots: reflections.predict_spots, placed as explanations._predicted does ----

const reflections = {};

async function loadReflections() {
  for (const index of run.phases.keys()) {
    const [hkl, g, amplitude] = await Promise.all(["hkl", "g", "amplitude"].map(name => array(name, `p${index}`)));
    if (hkl) reflections[index] = { hkl, g, amplitude };
  }
}

function rotationMatrix([w, x, y, z]) {
  const n = w * w + x * x + y * y + z * z, s = 2 / n;
  return [[1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
          [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
          [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)]];
}

// Lorentzian rel-rod averaged over the cone of precession (Palatinus et al., Acta Cryst. B75, 512, 2019, eq. 10).
function visibility(error, radius, scan) {
  const sigma = Math.PI / scan.rod_width;
  const u = sigma ** 2 * (radius ** 2 * scan.precession ** 2 - error ** 2) + 1;
  const z = Math.sqrt(u ** 2 + 4 * sigma ** 2 * error ** 2);
  return (sigma / Math.PI) * Math.sqrt(2 * (u + z) / z ** 2);
}

// `phase` in a rotation at position k, with the scale and centre found there for `placedAs`.
function predicted(phase, k, rotation, placedAs) {
  const scan = scanNow(), list = reflections[phase], [low, high] = scan.window;
  if (!list || !rotation.every(Number.isFinite)) return null;
  const R = rotationMatrix(rotation), { hkl, g, amplitude } = list, count = amplitude.length;
  const within = [];
  let strongest = 0, total = 0;
  for (let n = 0; n < count; n++) {
    const radius = Math.hypot(g[3 * n], g[3 * n + 1], g[3 * n + 2]);
    if (radius > high) continue;
    within.push([n, radius]);
    strongest = Math.max(strongest, amplitude[n]);
  }
  const spots = [];
  for (const [n, radius] of within) {
    if (amplitude[n] <= run.weakest * strongest) continue;
    const q = [0, 1, 2].map(j => g[3 * n] * R[0][j] + g[3 * n + 1] * R[1][j] + g[3 * n + 2] * R[2][j]);
    const out = Math.hypot(q[0], q[1]);
    if (out < low || out > high) continue;
    const bend = 0.5 * scan.wavelength * radius ** 2;
    const weight = amplitude[n] * visibility(bend - q[2], radius, scan);
    total += weight;
    spots.push({ q, n, weight, d: 1 / radius });
  }
  const phases = run.phases.length, scale = shown.scale_factor[k * phases + placedAs];
  const centre = [0, 1].map(j => shown.centre[2 * (k * phases + placedAs) + j]), D = scan.distortion;
  return spots.filter(spot => spot.weight / total > run.least_weight).map(({ q, n, weight, d }) => {
    const [px, py] = [scale * q[0] + centre[0], scale * q[1] + centre[1]];
    return { hkl: [hkl[3 * n], hkl[3 * n + 1], hkl[3 * n + 2]], d, weight: weight / total,
             qx: D[0][0] * px + D[0][1] * py, qy: D[1][0] * px + D[1][1] * py };
  });
}

function miller(hkl) {
  const apart = Math.max(...hkl.map(Math.abs)) > 9 ? " " : "";
  return hkl.map(h => h < 0 ? `${-h}\u0305`.replace(/(\d)(?=\d)/g, "$1\u0305") : `${h}`).join(apart);
}

// ---- The pattern ----

// From 1/angstrom to the picture: the camera's plane in units of its mean scale, so an ellipse stays in.
function toPicture(qx, qy) {
  const scan = scanNow();
  if (!scan.affine) return [qx, qy];
  const [[a, b], [c, d]] = scan.affine, unit = scan.scale / (a * d - b * c);
  return [unit * (d * qx - b * qy), unit * (a * qy - c * qx)];
}

function drawSpots(here) {
  const scan = scanNow();
  const reach = scan.window ? 1.08 * scan.window[1] : 1;
  const spots = here.spots ?? [];
  const places = spots.map(spot => toPicture(spot.qx, spot.qy));
  plots.measured.data = {
    x: places.map(p => p[0]), y: places.map(p => p[1]), intensity: spots.map(s => s.intensity),
    q: spots.map(s => Math.hypot(s.qx, s.qy)), d: spots.map(s => 1 / Math.hypot(s.qx, s.qy)),
  };
  const phase = state.candidate ?? Math.max(0, here.likeliest);
  const account = here.predicted[run.phases[phase].name];
  drawAccount("predicted", account, phase);
  const second = phase === here.likeliest && byId("with-second").checked ? here.second_predicted : null;
  drawAccount("second", second, here.second_phase);
  drawIndices(account ?? [], reach);
  const key = `${state.scan}`;
  if (drawSpots.fitted !== key) {
    const range = (start, end) => ({ start, end, reset_start: start, reset_end: end });
    plots.pattern.x_range.setv(range(-reach, reach));
    plots.pattern.y_range.setv(range(reach, -reach));
    drawSpots.fitted = key;
  }
}

function drawAccount(name, spots, phase) {
  const list = spots ?? [], top = Math.max(...list.map(s => s.weight), 1e-9);
  const places = list.map(spot => toPicture(spot.qx, spot.qy));
  plots[name].data = {
    x: places.map(p => p[0]), y: places.map(p => p[1]), hkl: list.map(s => miller(s.hkl)),
    size: list.map(s => 5 + 8 * Math.sqrt(Math.sqrt(s.weight / top))), d: list.map(s => s.d), weight: list.map(s => s.weight),
    phase: list.map(() => run.phases[phase].label),
  };
  if (list.length) plots[`${name}-marks`].glyph.line_color = { value: run.phases[phase].colour };
}

// Indices of the heaviest spots that do not crowd each other.
function drawIndices(list, reach) {
  const placed = [];
  if (byId("with-indices").checked)
    for (const spot of [...list].sort((a, b) => b.weight - a.weight)) {
      const [x, y] = toPicture(spot.qx, spot.qy);
      if (placed.length === 8 || Math.abs(x) > 0.9 * reach || Math.abs(y) > 0.9 * reach) continue;
      if (placed.every(p => Math.abs(p.x - x) > 0.26 * reach || Math.abs(p.y - y) > 0.1 * reach))
        placed.push({ x, y, text: miller(spot.hkl) });
    }
  plots.indices.data = { x: placed.map(p => p.x), y: placed.map(p => p.y), text: placed.map(p => p.text) };
}

async function drawPattern(here, asking) {
  const scan = scanNow();
  let found = null, said = scan.pattern_note;
  if (scan.affine) {
    const raw = await served(here);
    found = raw?.data ? raw : await embedded(here);
    if (asking !== asked) return;
    said = [raw?.refused, found?.said ?? (raw?.refused ? null : said)].filter(Boolean).join(" ");
  }
  byId("pattern-said").textContent = said;
  plots["pattern-image"].data = found ? found.data : { image: [], x: [], y: [], dw: [], dh: [] };
  if (!found) return;
  const [low, high] = found.ends, bright = Number(byId("contrast").value);
  plots["pattern-mapper"].setv({ low, high: low + (high - low) * 2 ** -bright });
}

// A pattern of root counts, rows and columns of `size` camera pixels, its corner at (top, left).
function picture(root, rows, columns, size, top, left, here, said) {
  const scan = scanNow(), k = here.y * scan.shape[1] + here.x;
  const sorted = Float32Array.from(root).sort(), at = share => sorted[Math.floor(share * (sorted.length - 1))];
  return { said, ends: [at(0.01), Math.max(at(0.998), at(0.01) + 1)], data: {
    image: [ndarray(root, "float32", rows, columns)],
    x: [(left - 0.5 - shown.centre_x[k]) * scan.scale], y: [(top - 0.5 - shown.centre_y[k]) * scan.scale],
    dw: [columns * size * scan.scale], dh: [rows * size * scan.scale] } };
}

// `phasefront view` serves every raw pattern: two uint32 (rows, columns), then counts as float32.
async function served(here) {
  if (!location.protocol.startsWith("http")) return null;
  const address = new URL(`pattern/${encodeURIComponent(here.scan)}/${here.y}/${here.x}`, location.href);
  try {
    const answer = await fetch(address);
    if (!answer.ok) return { refused: await answer.text() };
    const content = await answer.arrayBuffer(), [rows, columns] = new Uint32Array(content, 0, 2);
    const root = new Float32Array(content, 8, rows * columns).map(count => Math.sqrt(Math.max(count, 0)));
    return picture(root, rows, columns, 1, 0, 0, here, "The raw pattern, square roots of counts.");
  } catch { return { refused: "The server does not answer any more." }; }
}

async function embedded(here) {
  const scan = scanNow(), k = here.y * scan.shape[1] + here.x;
  const at = shown.pattern_position ? shown.pattern_position.indexOf(k) : -1;
  if (at < 0) return null;
  const [start, end] = [shown.pattern_start[at], shown.pattern_start[at + 1]];
  const text = byId(`s${state.scan}-patterns`).firstChild.substringData(start, end - start);
  const levels = await inflated(fromBase64(text)), { top, left, side, binning } = scan.frame;
  const root = Float32Array.from(levels, level => level * shown.pattern_step[at]);
  const binned = binning > 1 ? `, binned ${binning} × ${binning}` : "";
  return picture(root, side / binning, side / binning, binning, top, left, here, `Square roots of counts${binned}.`);
}

// ---- The spectrum of a laid map ----

function drawSpectrum(here) {
  const map = spectralMap();
  byId("spectrum-box").hidden = !map;
  if (!map) return;
  const found = here.spectrum, own = map.spectrum, unit = own.unit === "1" ? "" : ` (${own.unit})`;
  const colours = own.parts.map((_, n) => run.part_colours[n % run.part_colours.length]);
  byId("spectrum-said").textContent = found ? `${map.stack}, its row ${found.row}, column ${found.column}` : `${map.stack}: none here`;
  fill("spectrum-parts", ...own.parts.flatMap((name, n) => [
    element("span", { class: "chip", style: { background: colours[n] }, "aria-hidden": "true" }), `${name}  `]),
    element("br"), `Points: measured, 95 % by noise, hollow where left out of the fit; black: the fit, sum of its parts. ${own.note ? `It is ${own.note}.` : ""}`);
  plots.spectrum.left[0].axis_label = `${own.quantity}${unit}`;
  const { energy, measured, stderr, parts } = found ?? { energy: [], measured: [], stderr: [], parts: {} };
  const lines = Object.values(parts), fit = energy.map((_, n) => lines.reduce((sum, line) => sum + line[n], 0));
  const reach = stderr.map(error => known(error) ? NORMAL_95 * error : 0);
  plots["spectrum-measured"].data = { energy, value: measured, low: measured.map((v, n) => v - reach[n]),
    high: measured.map((v, n) => v + reach[n]), filled: stderr.map(error => known(error) ? 1 : 0) };
  plots["spectrum-fit"].data = { energy, value: fit };
  plots["spectrum-parts"].data = { energy: lines.map(() => energy), value: lines, colour: lines.length ? colours : [] };
  if (!found) return;
  const all = [...measured, ...fit, ...lines.flat()].filter(Number.isFinite);
  const low = Math.min(0, ...all), high = Math.max(...all), room = 0.05 * (high - low) || 1;
  const range = (start, end) => ({ start, end, reset_start: start, reset_end: end });
  plots.spectrum.x_range.setv(range(energy[0], energy.at(-1)));
  plots.spectrum.y_range.setv(range(low - room, high + room));
}

// ---- What is written of a position ----

function fact(name, text) { return [element("dt", {}, name), element("dd", {}, text)]; }

function writePosition(here) {
  const scan = scanNow(), answer = here.code >= 0 ? `${here.decision}` : here.decision;
  fill("position",
    element("span", { class: "chip", style: { background: answerColour(here.code) }, "aria-hidden": "true" }),
    element("strong", {}, answer), ` row ${here.y}, column ${here.x}`,
    here.grain >= 0 ? `, grain ${here.grain}` : "");
  byId("reason").textContent = here.reason;
  fill("bars", ...run.phases.flatMap((phase, index) => posteriorBar(here, phase, index)));
  const cell = here.cell && here.cell.every(Number.isFinite) ? here.cell : null;
  const facts = [];
  if (cell)
    facts.push(...["a", "b", "c", "α", "β", "γ"].flatMap((name, n) =>
      fact(name, withError(cell[n], here.cell_stderr[n]) + (n < 3 ? " Å" : "°"))));
  fill("cell", ...facts);
  byId("no-cell").textContent = cell ? `refined as ${run.phases[here.likeliest].label}` : "No cell was refined here.";
  const grain = here.grain >= 0 ? neighbours(here.grain) : [];
  fill("facts",
    ...fact("ion content", known(here.ion_content) ? `${withError(here.ion_content, here.ion_content_stderr)} ${run.ion}` : "–"),
    ...fact("axial ratio c/a", withError(here.axial_ratio, here.axial_ratio_stderr)),
    ...fact("shares", here.share && known(Object.values(here.share)[0])
      ? run.phases.map(p => `${p.label} ${percent(here.share[p.name])}`).join(", ") : "–"),
    ...fact("second lattice", here.second_phase >= 0
      ? `${run.phases[here.second_phase].label}, ${percent(here.second_share)} of the amplitude` : "none found"),
    ...fact("spots", here.spots ? `${here.spots.length}, of which ${percent(here.explained)} explained` : "none in this file"),
    ...fact("reliability", fixed(here.reliability, 3)),
    ...fact("orientation", (known(here.orientation_probability)
      ? `right in half turn and variant with ${percent(here.orientation_probability)}` : "not known whether half a turn off")
      + (here.grain >= 0 && known(shown.grain_half_turn_probability[here.grain])
        ? `; the grain is half a turn off with ${percent(shown.grain_half_turn_probability[here.grain])}` : "")),
    ...fact("grain", here.grain >= 0 ? `${here.grain}, ${grain.length ? "beside " + grain.map(n => `${n.grain} (${angleWords(n)})`).join(", ") : "no neighbours"}` : "none"));
  byId("facts").append(...fact("interface", frontWords(here.interface)), ...fact("shape of the grain", shapeWords(shapesOf(here.grain))));
  byId("facts").append(...here.laid.flatMap(map => fact(`${map.quantity} by ${map.stack}`, known(map.value)
    ? `${withError(map.value, map.stderr)}${map.unit === "1" ? "" : ` ${map.unit}`}, laid to ${fixed(map.place_nm, 1)} nm` : "not known here")));
  fill("origin",
    ...fact("file", scan.path),
    ...fact("position", `row ${here.y}, column ${here.x}, frame ${here.y * scan.shape[1] + here.x} (all from 0)`),
    ...fact("record", scan.record ?? "none beside the file"),
    element("dt", {}, "command"), element("dd", {}, element("code", {}, scan.command)));
  byId("spoken").textContent = `Row ${here.y}, column ${here.x}: ${answer}. ${here.reason}`;
}

function posteriorBar(here, phase, index) {
  const value = here.posterior ? here.posterior[phase.name] : null;
  const chosen = index === (state.candidate ?? here.likeliest);
  const choose = () => { state.candidate = index; writeLink(); showPosition(); };
  return [
    element("button", { type: "button", class: "candidate", "aria-pressed": String(chosen), onclick: choose,
      title: "show the spots that it predicts" }, phase.label),
    element("span", { class: "track", "aria-hidden": "true" }, element("span",
      { style: { width: `${100 * (known(value) ? value : 0)}%`, background: phase.colour } })),
    element("output", {}, known(value) ? (value > 0.9995 ? "> 0.999" : value.toFixed(3)) : "–"),
  ];
}

function fillCandidates() { state.candidate = state.candidate === null ? null : Math.min(state.candidate, run.phases.length - 1); }

// ---- Grains ----

let grains = [], sorting = { column: 0, down: false };

async function fillGrains() {
  const names = ["size", "phase_count", "mixed_count", "undecided_count", "spread", "centroid_y", "centroid_x",
                 "pair_a", "pair_b", "pair_length", "pair_misorientation", "pair_misorientation_turned",
                 "pair_turned_probability", "half_turn_probability", "morphology"];
  await need(...names.map(name => `grain_${name}`));
  const phases = run.phases.length;
  grains = Array.from(shown.grain_size ?? [], (size, grain) => ({
    grain, size, phases: Array.from(shown.grain_phase_count.subarray(grain * phases, (grain + 1) * phases)),
    mixed: shown.grain_mixed_count[grain], undecided: shown.grain_undecided_count[grain],
    spread: shown.grain_spread[grain], y: shown.grain_centroid_y[grain], x: shown.grain_centroid_x[grain],
    shapes: shapesOf(grain) }));
  byId("grain-count").textContent = grains.length ? `${grains.length} in this scan` : "none in this scan";
  writeGrains();
}

// Probabilities of a grain's shapes by name, the likeliest first.
function shapesOf(grain) {
  const names = run.morphologies, list = shown.grain_morphology;
  if (!list || grain < 0) return [];
  return names.map((name, n) => [name, list[grain * names.length + n]]).sort((a, b) => b[1] - a[1]);
}

function shapeWords(shapes) {
  const likely = shapes.filter(([, share], n) => n === 0 || share > 0.05);
  return likely.length ? likely.map(([name, share]) => `${name} ${percent(share)}`).join(", ") : "–";
}

const COLUMNS = [
  ["grain", g => g.grain, 0], ["positions", g => g.size, 0],
  ...run.phases.map((phase, index) => [phase.label, g => g.phases[index], 0]),
  ["mixed", g => g.mixed, 0], ["no answer", g => g.undecided, 0], ["spread (°)", g => g.spread, 2],
  ["row", g => g.y, 1], ["column", g => g.x, 1], ["shape", g => g.shapes.length ? g.shapes[0][0] : "–", null],
];

function writeGrains() {
  const value = COLUMNS[sorting.column][1], sign = sorting.down ? -1 : 1;
  const order = (a, b) => typeof a === "string" ? a.localeCompare(b) : a - b;
  const ordered = [...grains].sort((a, b) => sign * order(value(a), value(b)) || a.grain - b.grain);
  fill("grain-head", ...COLUMNS.map(([name], column) => element("th", { scope: "col",
    "aria-sort": column !== sorting.column ? "none" : sorting.down ? "descending" : "ascending" },
    element("button", { type: "button", onclick: () => {
      sorting = { column, down: column === sorting.column ? !sorting.down : column > 0 };
      writeGrains();
      byId("grain-head").children[column].firstChild.focus();
    } }, name))));
  fill("grain-rows", ...ordered.map(grain => element("tr", { "data-grain": grain.grain },
    ...COLUMNS.map(([, of, digits], column) => element("td", {}, column ? digits === null ? of(grain) : fixed(of(grain), digits)
      : element("button", { type: "button", "aria-label": `go to grain ${grain.grain}`, onclick: () => goToGrain(grain) }, String(grain.grain)))))));
  markRow(shown.label ? shown.label[state.y * scanNow().shape[1] + state.x] : -1);
}

// The grain's position that is nearest to its centroid.
function goToGrain(grain) {
  const [rows, columns] = scanNow().shape;
  let best = Infinity, at = [state.y, state.x];
  for (let k = 0; k < rows * columns; k++) {
    if (shown.label[k] !== grain.grain) continue;
    const y = Math.floor(k / columns), x = k % columns, away = (y - grain.y) ** 2 + (x - grain.x) ** 2;
    if (away < best) { best = away; at = [y, x]; }
  }
  moveTo(...at);
}

function markRow(grain) {
  for (const line of byId("grain-rows").children) {
    const own = Number(line.dataset.grain) === grain;
    if (own) {
      line.setAttribute("aria-current", "true");
      const box = byId("grain-table"), top = line.offsetTop - box.offsetTop;
      if (top < box.scrollTop + 30 || top > box.scrollTop + box.clientHeight - 30) box.scrollTop = top - box.clientHeight / 2;
    } else line.removeAttribute("aria-current");
  }
}

function drawGrain(grain) {
  if (drawGrain.last === `${state.scan}/${grain}`) return markRow(grain);
  drawGrain.last = `${state.scan}/${grain}`;
  plots.outline.data = grain < 0 ? { x0: [], y0: [], x1: [], y1: [] }
    : edgesBetween((a, b) => (shown.label[a] === grain) !== (shown.label[b] === grain));
  markRow(grain);
}

// Misorientation with a neighbour; where one of the two may be half a turn off, the other angle too.
function angleWords({ angle, turned, chance }) {
  return `${fixed(angle, 1)}°${chance > 0.01 ? `, or ${fixed(turned, 1)}° with ${percent(chance)}` : ""}`;
}

function neighbours(grain) {
  const found = [];
  for (let p = 0; p < (shown.grain_pair_a ?? []).length; p++) {
    const [a, b] = [shown.grain_pair_a[p], shown.grain_pair_b[p]];
    if (a === grain || b === grain) found.push({ grain: a === grain ? b : a, angle: shown.grain_pair_misorientation[p],
      turned: shown.grain_pair_misorientation_turned[p], chance: shown.grain_pair_turned_probability[p] });
  }
  return found;
}

// ---- Misorientation along a line ----

function multiply([a, b, c, d], [w, x, y, z]) {
  return [a * w - b * x - c * y - d * z, a * x + b * w + c * z - d * y, a * y - b * z + c * w + d * x, a * z + b * y - c * x + d * w];
}

function unit([w, x, y, z]) {
  const length = Math.hypot(w, x, y, z);
  return [w / length, x / length, y / length, z / length];
}

// Reduced by symmetry and by half a turn about the beam, as grains are; NaN between lattices not compared.
function misorientation(k, l) {
  const family = shown.lattice_family[k];
  if (family < 0 || family !== shown.lattice_family[l]) return NaN;
  const one = unit(row("lattice_rotation", k)), [w, x, y, z] = unit(row("lattice_rotation", l));
  let least = Infinity;
  for (const start of [one, multiply(one, [0, 0, 0, 1])])
    for (const operation of run.symmetries[family]) {
      const between = multiply(multiply(operation, start), [w, -x, -y, -z]);
      least = Math.min(least, 2 * Math.atan2(Math.hypot(between[1], between[2], between[3]), Math.abs(between[0])));
    }
  return least / DEGREE;
}

function lineOf([y0, x0], [y1, x1]) {
  const count = Math.max(Math.abs(y1 - y0), Math.abs(x1 - x0));
  return Array.from({ length: count + 1 }, (_, n) => {
    const t = count ? n / count : 0;
    return [Math.round(y0 + t * (y1 - y0)), Math.round(x0 + t * (x1 - x0))];
  });
}

function drawProfile() {
  const columns = scanNow().shape[1], apart = step();
  byId("line-start").setAttribute("aria-pressed", String(Boolean(state.from)));
  byId("profile-box").hidden = !state.from;
  if (!state.from) { plots.line.data = { x: [], y: [] }; return; }
  const end = [state.y, state.x], places = lineOf(state.from, end), index = places.map(([y, x]) => y * columns + x);
  plots.line.data = { x: [state.from[1], state.x].map(x => (x + 0.5) * apart), y: [state.from[0], state.y].map(y => (y + 0.5) * apart) };
  const profile = {
    distance: places.map(([y, x]) => apart * Math.hypot(y - state.from[0], x - state.from[1])),
    to_first: index.map(k => misorientation(index[0], k)),
    to_last: index.map((k, n) => n ? misorientation(index[n - 1], k) : NaN),
    row: places.map(p => p[0]), column: places.map(p => p[1]),
  };
  plots["profile-source"].data = profile;
  plots.profile.x_range.end = Math.max(...profile.distance, apart);
  plots.profile.y_range.end = 1.1 * Math.max(1, ...[...profile.to_first, ...profile.to_last].filter(Number.isFinite));
  plots.profile.below[0].axis_label = known(scanNow().step_nm) ? "distance along the line (nm)" : "distance along the line (positions)";
  byId("profile-said").textContent = `From row ${state.from[0]}, column ${state.from[1]} to row ${state.y}, column ${state.x}`
    + `; ends ${fixed(misorientation(index[0], index.at(-1)), 2)}° apart. Reduced by symmetry and by half a turn about the beam, which a pattern hardly tells.`;
}

// ---- Address ----

function link() {
  const parts = new URLSearchParams({ scan: scanNow().scan, y: state.y, x: state.x, layer: state.layers[0], beside: state.layers[1] });
  if (state.candidate !== null) parts.set("phase", run.phases[state.candidate].name);
  if (state.from) parts.set("from", state.from.join(","));
  return `#${parts}`;
}

let ownHash = "";

function writeLink() {
  ownHash = link();
  history.replaceState(null, "", ownHash);
  byId("permalink").setAttribute("href", ownHash);
}

async function follow() {
  if (location.hash && location.hash === ownHash) return;
  const parts = new URLSearchParams(location.hash.slice(1));
  const index = run.scans.findIndex(scan => scan.scan === parts.get("scan"));
  const number = (text, otherwise) => /^\d+$/.test(text ?? "") ? Number(text) : otherwise;
  ["layer", "beside"].forEach((name, panel) => {
    if (Object.hasOwn(LAYERS, parts.get(name) ?? "")) state.layers[panel] = parts.get(name);
  });
  const candidate = run.phases.findIndex(phase => phase.name === parts.get("phase"));
  state.candidate = candidate < 0 ? null : candidate;
  const scan = index < 0 ? state.scan : index, [rows, columns] = run.scans[scan].shape;
  const start = run.scans[scan].start;
  state.y = number(parts.get("y"), index < 0 || !parts.has("y") ? start[0] : 0);
  state.x = number(parts.get("x"), index < 0 || !parts.has("x") ? start[1] : 0);
  const from = (parts.get("from") ?? "").split(",").map(part => number(part, NaN));
  state.from = from.length === 2 && from[0] < rows && from[1] < columns ? from : null;
  const unknown = parts.get("scan") !== null && index < 0;
  byId("link-said").textContent = unknown ? `The address names the scan ${parts.get("scan")}, which this run does not have.` : "";
  await showScan(scan);
  performance.mark("first picture");
  await loadReflections();
  await showPosition();
}

function moveTo(y, x) { state.y = y; state.x = x; return showPosition(); }

async function changeScan(index) {
  [state.y, state.x] = run.scans[index].start;
  state.from = null;
  await showScan(index);
  await showPosition();
}

// ---- Export ----

function save(content, name) {
  const link = element("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function fileName(what, suffix) { return `${run.run}_${scanNow().scan}_y${state.y}_x${state.x}_${what}.${suffix}`; }

function parts(what) { return what === "pattern" ? [plots.pattern] : [plots["map-a"], plots["map-b"]]; }

function titles(what) {
  const scan = scanNow();
  return what === "pattern" ? [`${scan.scan}, row ${state.y}, column ${state.x}`] : state.layers.map(name => `${scan.scan}: ${LAYERS[name].title}`);
}

function legendItems(what) {
  if (what === "pattern" || !state.layers.includes("phase")) return [];
  return answers().filter(code => !hidden.has(code)).map(code => [answerName(code), answerColour(code)]);
}

// Colour keys of directions, where a map has them.
function keyImages(what) {
  const used = what === "maps" && state.layers.some(name => LAYERS[name].key);
  return used ? [...byId("keys").querySelectorAll("img")] : [];
}

const GAP = 16, HEAD = 22, FOOT = 26, KEY = 118, TYPE = "12px sans-serif";

function measures(what) {
  const boxes = parts(what).map(plot => Bokeh.index.find_one(plot).bbox);
  let at = 0, keys = 0;
  const below = HEAD + Math.max(...boxes.map(box => box.height));
  const images = keyImages(what).map(image => {
    const place = { image, x: at, y: below + 4, width: KEY * image.naturalWidth / image.naturalHeight, height: KEY };
    at += place.width + GAP;
    keys = KEY + 8;
    return place;
  });
  return { boxes, images, width: Math.max(boxes.reduce((sum, box) => sum + box.width + GAP, -GAP), at - GAP),
           height: below + keys + (legendItems(what).length ? FOOT : 0) };
}

function savePng(what) {
  const { boxes, images, width, height } = measures(what), ratio = window.devicePixelRatio || 1;
  const canvas = element("canvas", { width: Math.ceil(width * ratio), height: Math.ceil(height * ratio) });
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.font = TYPE;
  let left = 0;
  parts(what).forEach((plot, n) => {
    pen.drawImage(Bokeh.index.find_one(plot).export("png").canvas, left, HEAD, boxes[n].width, boxes[n].height);
    pen.fillStyle = "black";
    pen.fillText(titles(what)[n], left + 2, 15);
    left += boxes[n].width + GAP;
  });
  for (const key of images) pen.drawImage(key.image, key.x, key.y, key.width, key.height);
  let at = 2;
  for (const [name, colour] of legendItems(what)) {
    pen.fillStyle = colour;
    pen.fillRect(at, height - 18, 12, 12);
    pen.fillStyle = "black";
    pen.fillText(name, at + 16, height - 8);
    at += 28 + pen.measureText(name).width;
  }
  canvas.toBlob(blob => save(blob, fileName(what, "png")));
}

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function saveSvg(what) {
  const { boxes, images, width, height } = measures(what);
  const page = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "sans-serif", "font-size": 12 });
  page.append(shape("rect", { width, height, fill: "white" }));
  let left = 0;
  parts(what).forEach((plot, n) => {
    const text = Bokeh.index.find_one(plot).export("svg").ctx.get_serialized_svg(true);
    const drawn = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
    drawn.setAttribute("x", left);
    drawn.setAttribute("y", HEAD);
    page.append(drawn, shape("text", { x: left + 2, y: 15 }, titles(what)[n]));
    left += boxes[n].width + GAP;
  });
  for (const { image, ...place } of images) page.append(shape("image", { ...place, href: image.src }));
  let at = 2;
  for (const [name, colour] of legendItems(what)) {
    page.append(shape("rect", { x: at, y: height - 18, width: 12, height: 12, fill: colour }), shape("text", { x: at + 16, y: height - 8 }, name));
    at += 28 + 7 * name.length;
  }
  save(new Blob([new XMLSerializer().serializeToString(page)], { type: "image/svg+xml" }), fileName(what, "svg"));
}

function saveJson() {
  const here = position(state.y, state.x);
  here.permalink = link();
  save(new Blob([JSON.stringify(here, null, 1)], { type: "application/json" }), fileName("position", "json"));
}

// ---- Controls ----

function answers() { return [...run.phases.keys(), MIXED, UNDECIDED, UNINDEXED, VACUUM]; }

function fillControls() {
  byId("scan").append(...run.scans.map((scan, index) => element("option", { value: index },
    scan.state === scan.scan ? scan.scan : `${scan.state}: ${scan.scan}`)));
  byId("scan").addEventListener("change", event => changeScan(Number(event.target.value)));
  ["a", "b"].forEach((letter, panel) => {
    byId(`layer-${letter}`).append(...Object.entries(LAYERS).map(([name, layer]) => element("option", { value: name }, layer.title)));
    byId(`layer-${letter}`).addEventListener("change", async event => {
      state.layers[panel] = event.target.value;
      writeLink();
      await drawMap(panel);
      if (run.laid.length) await showPosition(); // the circle and the spectrum are of the map that is shown
    });
  });
  fill("legend", element("legend", { class: "unseen" }, "answers shown in the phase map"), ...answers().map(code => element("label", {},
    element("input", { type: "checkbox", checked: "", onchange: event => {
      event.target.checked ? hidden.delete(code) : hidden.add(code);
      state.layers.forEach((name, panel) => { if (name === "phase") drawMap(panel); });
    } }),
    element("span", { class: code === MIXED ? "chip hatched" : "chip", style: { backgroundColor: answerColour(code) }, "aria-hidden": "true" }), answerName(code))));
  byId("line-start").addEventListener("click", () => {
    state.from = state.from ? null : [state.y, state.x];
    showPosition();
  });
  byId("with-fronts").addEventListener("change", showFronts);
  byId("whole").addEventListener("click", fitMaps);
  byId("likeliest").addEventListener("click", () => { state.candidate = null; showPosition(); });
  for (const id of ["with-second", "with-indices", "contrast"]) byId(id).addEventListener("change", showPosition);
  const exports = { "maps-png": () => savePng("maps"), "maps-svg": () => saveSvg("maps"), "pattern-png": () => savePng("pattern"),
                    "pattern-svg": () => saveSvg("pattern"), "position-json": saveJson };
  for (const [id, act] of Object.entries(exports)) byId(id).addEventListener("click", act);
  byId("copy-link").addEventListener("click", async () => {
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    byId("link-said").textContent = copied ? "The link is copied." : "The browser does not let a page copy; its address is the link.";
  });
  byId("maps").addEventListener("keydown", event => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    moveTo(state.y + far * move[0], state.x + far * move[1]);
  });
  for (const letter of "ab") {
    // Two quick clicks in different places are a double one to Bokeh.
    for (const kind of ["tap", "doubletap"]) plots[`map-${letter}`].on_event(kind, goToPointer);
    plots[`map-${letter}`].on_event("mousemove", sayUnder);
  }
  let waiting = null;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(fitMaps, 150); });
}

function placeOf(event) {
  const [y, x] = [Math.floor(event.y / step()), Math.floor(event.x / step())], [rows, columns] = scanNow().shape;
  return y >= 0 && x >= 0 && y < rows && x < columns ? [y, x] : null;
}

function goToPointer(event) {
  const place = placeOf(event);
  byId("maps").focus({ preventScroll: true });
  if (place) moveTo(...place);
}

function sayUnder(event) {
  const place = placeOf(event);
  if (!place || !shown.decision) { byId("under").textContent = "\u00a0"; return; }
  const [y, x] = place, k = y * scanNow().shape[1] + x;
  const said = state.layers.map(name => LAYERS[name]).filter(layer => layer.value && layer.needs.every(one => shown[one]))
    .map(layer => `${layer.title} ${fixed(layer.value(k), 3)}`);
  byId("under").textContent = [`row ${y}, column ${x}`, answerName(shown.decision[k]), shown.label[k] >= 0 ? `grain ${shown.label[k]}` : null, ...said]
    .filter(Boolean).join(" · ");
}

// Small maps of the overview, a button each.
async function drawSmallMaps() {
  for (const canvas of document.querySelectorAll("canvas[data-scan]")) {
    const index = Number(canvas.dataset.scan), decision = await unpack(byId(`s${index}-decision`));
    const [rows, columns] = run.scans[index].shape, pen = canvas.getContext("2d"), image = new ImageData(columns, rows);
    const colours = new Uint32Array(image.data.buffer);
    for (let k = 0; k < colours.length; k++) colours[k] = rgba(answerColour(decision[k]));
    canvas.width = columns;
    canvas.height = rows;
    pen.putImageData(image, 0, 0);
    canvas.parentElement.addEventListener("click", async () => {
      await changeScan(index);
      byId("look").scrollIntoView();
    });
  }
}

// ---- In situ series: maps through time ----

async function drawMoment(number, scan) {
  const series = run.series[number], [rows, columns] = series.shape, size = rows * columns;
  const colours = series.states.map(one => [1, 3, 5].map(at => parseInt(one.colour.slice(at, at + 2), 16)));
  for (const canvas of document.querySelectorAll(`canvas[data-series="${number}"]`)) {
    const [rich, poor] = await Promise.all(["rich", "poor"].map(name => unpack(byId(`t${number}-${canvas.dataset.kind}_${name}`))));
    const image = new ImageData(columns, rows);
    for (let k = 0; k < size; k++) {
      const at = scan * size + k, seen = rich[at] <= series.steps;
      const share = [rich[at] / series.steps, 0, poor[at] / series.steps];
      share[1] = Math.max(1 - share[0] - share[2], 0);
      for (let c = 0; c < 3; c++) image.data[4 * k + c] = seen ? colours.reduce((sum, colour, n) => sum + share[n] * colour[c], 0) : 255;
      image.data[4 * k + 3] = 255;
    }
    canvas.width = columns;
    canvas.height = rows;
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  byId(`moment-${number}`).textContent = `${series.scans[scan]}: ${series.moments[scan]}`;
}

async function fillSeries() {
  for (const slider of document.querySelectorAll("input.time")) {
    const number = Number(slider.dataset.series);
    slider.addEventListener("input", () => drawMoment(number, Number(slider.value)));
    byId(`to-scan-${number}`).addEventListener("click", async () => {
      const name = run.series[number].scans[Number(slider.value)];
      await changeScan(run.scans.findIndex(scan => scan.scan === name));
      byId("look").scrollIntoView();
    });
    await drawMoment(number, 0);
  }
}

async function begin() {
  const { json, roots } = JSON.parse(byId("plots").textContent);
  await Bokeh.embed.embed_items({ page: json }, [{ docid: "page", roots, root_ids: Object.keys(roots) }]);
  for (const model of Bokeh.documents[0].all_models ?? Bokeh.documents[0]._all_models.values()) if (model.name) plots[model.name] = model;
  if (run.scans.length) {
    fillControls();
    window.addEventListener("hashchange", follow);
    const cited = location.hash.length > 1;
    await follow();
    if (cited) byId("look").scrollIntoView();
    await drawSmallMaps();
    await fillSeries();
  }
  document.body.dataset.ready = "true";
}

window.phasefront = { state, position: () => position(state.y, state.x), profile: () => plots["profile-source"].data };
begin().catch(error => { byId("failed").textContent = `The page could not be drawn: ${error.message}`; throw error; });
})();
