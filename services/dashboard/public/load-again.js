// While two releases are served side by side, a page of one may get none of its files from the other. It is loaded again then, at most once a
// minute. A file of its own and not part of the build: its name is the same in every release, and the page's policy runs no inline scripts.
(() => {
  const KEY = 'pisync-loaded-again';
  const EVERY_MS = 60_000;
  let isUnderWay = false;
  addEventListener(
    'error',
    ({target}) => {
      const isFile = target instanceof HTMLScriptElement || target instanceof HTMLLinkElement;
      if (!isFile || isUnderWay) return;
      isUnderWay = true;
      try {
        // 0 where it never was. A clock that was set back does not make it wait longer.
        const sinceMs = Math.abs(Date.now() - Number(sessionStorage.getItem(KEY)));
        setTimeout(
          () => {
            sessionStorage.setItem(KEY, String(Date.now()));
            location.reload();
          },
          Math.max(0, EVERY_MS - sinceMs),
        );
      } catch {
        // Without a memory it would go round and round: the page says what to do.
      }
    },
    true,
  );
})();
