# The program, for compose.yaml: all services, run straight from TypeScript.
FROM node:24-slim

WORKDIR /opt/trunkline
COPY package.json package-lock.json ./
# Without the development packages, and without the embedded PostgreSQL: here DATABASE_URL is always set.
RUN npm ci --omit=dev --omit=optional
COPY . .
RUN ln -s /opt/trunkline/bin/trunkline.js /usr/local/bin/trunkline \
 && groupadd --system --gid 999 trunkline && useradd --system --uid 999 --gid trunkline trunkline \
 && install --directory --owner=trunkline --group=trunkline /etc/trunkline /var/lib/trunkline

USER trunkline
ENV NODE_ENV=production
ENTRYPOINT ["trunkline"]
CMD ["up"]
