// pg-boss in a schema of its own, which it makes and names in all that it says; or a job there.
//
//     pg_boss.js URL SCHEMA start|work
const PgBoss = require('pg-boss')

async function main ([url, schema, what]) {
  const boss = new PgBoss({ connectionString: url, schema, migrate: what === 'start', supervise: false, schedule: false })
  boss.on('error', error => { throw error })
  await boss.start()
  if (what === 'work') {
    await boss.createQueue('mail')
    const id = await boss.send('mail', { to: schema })
    const [job] = await boss.fetch('mail')
    if (job.id !== id || job.data.to !== schema) throw new Error(JSON.stringify(job))
    await boss.complete('mail', id)
  }
  await boss.stop({ graceful: false })
}

main(process.argv.slice(2)).catch(error => { console.error(error); process.exit(1) })
