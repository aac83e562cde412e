import {useCallback, useState} from 'react';

const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const STORAGE_KEY = 'pisync-theme';

const isTheme = (value: string | null): value is Theme => THEMES.some((theme) => theme === value);

/** The reader's stored choice; the system's where there is none. Storage may be forbidden, then the choice lasts for this page. */
export const storedTheme = (): Theme => {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return isTheme(stored) ? stored : 'system';
  } catch {
    return 'system';
  }
};

export const applyTheme = (theme: Theme): void => {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
};

/** The theme, and a function that steps system → light → dark. */
export const useTheme = (): readonly [Theme, () => void] => {
  const [theme, setTheme] = useState(storedTheme);
  const step = useCallback(() => {
    const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
    setTheme(next);
    applyTheme(next);
    try {
      localStorage.setItem(STORAGE_KEY, next);
    } catch {
      // Storage is forbidden: the choice holds until the page is closed.
    }
  }, [theme]);
  return [theme, step];
};
