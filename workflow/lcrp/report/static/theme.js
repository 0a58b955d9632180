// Sets the theme before anything is drawn, so that a dark page never flashes white.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("lcrp-theme"); } catch { /* storage may be off for files */ }
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark", dark);
})();
