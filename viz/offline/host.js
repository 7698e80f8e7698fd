// What Streamlit gives a component, on a page without Streamlit: its data, a place with a shadow root, an ear for what it
// reports, the theme's CSS variables (report.css). Nothing is fetched: all lies in the page.
const regard = (() => {
  const sources = {};
  const TYPES = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

  // numbers as a parsed Arrow table answers
  const table = (columns) => ({ getChild: (name) => ({ toArray: () => columns[name] }) });

  // The page's data; viz/offline/page.py packed it: the first bytes of all numbers of an array, then all second ones …
  async function read() {
    const said = JSON.parse(document.getElementById("regard-data").textContent);
    const bytes = await inflated("regard-numbers");
    let at = 0;
    const arrays = said.arrays.map(([type, n]) => {
      const array = new TYPES[type](n), raw = new Uint8Array(array.buffer), size = array.BYTES_PER_ELEMENT;
      for (let part = 0; part < size; part++) for (let i = 0; i < n; i++) raw[i * size + part] = bytes[at++];
      return array;
    });
    const revive = (value) => {
      if (value === null || typeof value !== "object") return value;
      if ("$columns" in value) {
        return table(Object.fromEntries(Object.entries(value.$columns).map(([name, i]) => [name, arrays[i]])));
      }
      for (const name of Object.keys(value)) value[name] = revive(value[name]);
      return value;
    };
    return revive(said.page);
  }

  // Draw a component in `place`, or draw it again with other data. `on(name, value)` hears what it reports.
  function mount(place, name, data, on = () => {}) {
    const { html, css, shown } = sources[name];
    if (!place.shadowRoot) {
      const root = place.attachShadow({ mode: "open" }), style = document.createElement("style");
      style.textContent = css;
      root.innerHTML = html;
      root.prepend(style);
    }
    shown({
      name,
      key: name,
      data,
      parentElement: place.shadowRoot,
      setTriggerValue: on,
      setStateValue: on,
    });
  }

  return { define: (name, source) => sources[name] = source, read, mount, table };
})();
