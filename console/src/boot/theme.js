// Before the first paint: the look this person chose last time, so that nothing flashes.
(function () {
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem("ironroot.theme");
    var density = localStorage.getItem("ironroot.density");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (density === "compact") root.dataset.density = density;
  } catch (_) {
    // Storage is switched off: the system's look it is.
  }
})();
