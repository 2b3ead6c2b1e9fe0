// Lint rules for what vue-tsc and the build do not find. Prettier formats the code.
import js from '@eslint/js';
import vue from 'eslint-plugin-vue';
import ts from 'typescript-eslint';
import vueParser from 'vue-eslint-parser';

export default ts.config(
  { ignores: ['dist', 'node_modules', 'shared/api/wire.d.ts'] },
  js.configs.recommended,
  ...ts.configs.recommended,
  ...vue.configs['flat/recommended'],
  {
    languageOptions: { parser: vueParser, parserOptions: { parser: ts.parser, extraFileExtensions: ['.vue'] } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // vue-tsc checks every name, with its type.
      'no-undef': 'off',
      'no-unused-vars': 'off',
      '@typescript-eslint/no-unused-vars': 'off',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'prefer-const': 'error',
      'no-self-compare': 'error',
      'no-console': ['error', { allow: ['error'] }],
      '@typescript-eslint/no-explicit-any': 'error',
      'vue/no-mutating-props': ['error', { shallowOnly: true }], // a form edits the draft it receives
      'vue/no-v-html': 'error',
      'vue/no-unused-components': 'error',
      'vue/no-unused-refs': 'error',
      'vue/require-explicit-emits': 'error',
      'vue/no-template-target-blank': 'error',
      'vue/multi-word-component-names': 'off',
      'vue/require-default-prop': 'off', // TypeScript declares which props are optional
      // Prettier formats templates.
      'vue/attributes-order': 'off',
      'vue/first-attribute-linebreak': 'off',
      'vue/html-closing-bracket-newline': 'off',
      'vue/html-indent': 'off',
      'vue/html-self-closing': 'off',
      'vue/max-attributes-per-line': 'off',
      'vue/multiline-html-element-content-newline': 'off',
      'vue/singleline-html-element-content-newline': 'off',
    },
  },
  { files: ['vite.config.ts', 'shared/wx/drive.ts'], rules: { 'no-console': 'off' } }, // they print to a terminal
);
