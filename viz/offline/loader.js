// Unpacks what is in the page, and starts its script. The script's text has to have the hash that the page's policy names.
async function inflated(id) {
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
(async () => {
  try {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await inflated("regard-script"));
    document.body.append(script);
  } catch (error) {
    document.getElementById("regard-failed").hidden = false;
    throw error;
  }
})();
