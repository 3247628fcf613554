/** The formats of CDR files that can be read, by the names that `--format` takes. */

/** Each with its title for people and the family of sources that its records belong to unless one is named. */
export const FORMATS = {
  'asterisk-csv': { title: 'Asterisk cdr_csv', source: 'asterisk' },
  'asterisk-custom': { title: 'Asterisk cdr_custom', source: 'asterisk' },
  'freeswitch-example': { title: 'FreeSWITCH mod_cdr_csv, template "example"', source: 'freeswitch' },
  'freeswitch-asterisk': { title: 'FreeSWITCH mod_cdr_csv, template "asterisk"', source: 'freeswitch' },
  'freeswitch-default': { title: 'FreeSWITCH mod_cdr_csv, compiled-in template', source: 'freeswitch' },
  'freeswitch-json': { title: 'FreeSWITCH mod_json_cdr', source: 'freeswitch' },
  'cisco-cucm': { title: 'Cisco CUCM', source: 'cucm' },
  mapped: { title: 'CSV with a header and a mapping', source: 'mapped' },
} as const satisfies Record<string, { readonly title: string; readonly source: string }>;

export type FormatName = keyof typeof FORMATS;
