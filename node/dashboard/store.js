// The node's snapshot as this page knows it, kept up to date by server-sent events.

const SECTIONS = [
  "status", "peers", "datanets", "jobs", "verdicts", "slashes", "attribution", "epochs",
  "claims", "answers", "failures", "log", "fault",
];

export const state = { link: "connecting", data: {} };

// True once every section has arrived; a page may then read any of them.
export const complete = () => SECTIONS.every((name) => name in state.data);

export function follow(changed) {
  const source = new EventSource("/api/v1/events");
  const link = (value) => {
    state.link = value;
    changed();
  };
  source.onopen = () => link("open");
  // readyState 2: refused for good (the token); otherwise the browser dials again by itself.
  source.onerror = () => link(source.readyState === 2 ? "refused" : "lost");
  for (const name of SECTIONS) {
    source.addEventListener(name, (event) => {
      state.data = { ...state.data, [name]: JSON.parse(event.data) };
      changed();
    });
  }
}
