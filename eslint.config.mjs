import prettier from 'eslint-config-prettier';
import {defineConfig} from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  {ignores: ['**/dist/**', '**/out/**', '.tsbuild/**', '**/node_modules/**', 'services/dashboard/public/**']},
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {parserOptions: {projectService: true, tsconfigRootDir: import.meta.dirname}},
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', {considerDefaultExhaustiveForUnions: true}],
      '@typescript-eslint/restrict-template-expressions': ['error', {allowNumber: true, allowBoolean: true}],
      '@typescript-eslint/no-confusing-void-expression': ['error', {ignoreArrowShorthand: true}],
      '@typescript-eslint/consistent-type-imports': ['error', {fixStyle: 'inline-type-imports'}],
      '@typescript-eslint/no-unused-vars': ['error', {argsIgnorePattern: '^_', varsIgnorePattern: '^_'}],
      'max-lines': ['error', {max: 400, skipBlankLines: false, skipComments: false}],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  {files: ['scripts/**', '**/*.test.ts', 'test/**', 'charts/**'], rules: {'no-console': 'off'}},
  {files: ['**/*.mjs', '**/*.cjs', '**/*.js'], extends: [tseslint.configs.disableTypeChecked]},
  prettier,
);
