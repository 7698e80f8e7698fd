// the trigger takes the values of all widgets along
function render({ setTriggerValue }) {
  const app = document.querySelector("[data-testid=stApp]"), name = "data-test-connection-state";
  let lost = app.getAttribute(name) !== "CONNECTED"; // drawn again meanwhile, it still is
  const look = () => {
    if (app.getAttribute(name) !== "CONNECTED") return (lost = true);
    if (lost) setTriggerValue("again", performance.now());
    lost = false;
  };
  const watcher = new MutationObserver(look);
  watcher.observe(app, { attributeFilter: [name] });
  return () => watcher.disconnect();
}
