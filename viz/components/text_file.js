function render({ data, parentElement, setTriggerValue }) {
  const button = parentElement.querySelector("button"), file = parentElement.querySelector("input");
  const said = parentElement.querySelector(".said");
  button.onclick = () => file.click();
  file.onchange = async () => {
    const chosen = file.files[0];
    if (!chosen) return;
    const text = await chosen.slice(0, data.most).text(); // what is longer is not even read
    said.textContent = chosen.size > data.most
      ? `${chosen.name}: the first ${data.most.toLocaleString("en")} bytes.`
      : chosen.name;
    file.value = ""; // so that the same file can be chosen again
    setTriggerValue("text", text);
  };
}
