/** Writes the rules for Prometheus: node scripts/monitoring.ts > infrastructure/monitoring/rules.yml */
import { prometheusRules } from '#services/monitor/prometheus_rules.ts';
import { RULES } from '#services/monitor/rules.ts';

process.stdout.write(prometheusRules(RULES));
